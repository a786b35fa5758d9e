// Lines over time by uPlot. Its numbers are also there as text: the legend shows the latest values, and the picture has
// a name that says them.
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useDark } from '../lib/media';
import type { Series, SeriesName } from '../lib/series';

export type LineSpec = { name: SeriesName; label: string; dash?: boolean };

/** Less than a minute is shown as a minute: the line grows from the right instead of being stretched. */
const shortestSpan = 60;

const labelled = (seconds: boolean) => new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', ...(seconds ? { second: '2-digit' } : {}) });
const [minutes, seconds] = [labelled(false), labelled(true)];

/** Times below the chart; with seconds while it shows a few minutes only. */
function clockLabels(_plot: uPlot, splits: number[]): string[] {
  const clock = (splits.at(-1) ?? 0) - (splits[0] ?? 0) < 300 ? seconds : minutes;
  return splits.map((at) => clock.format(at * 1000));
}

/** Values without a neighbour, which no line would show: they are drawn as points. */
function lonely(plot: uPlot, seriesIndex: number): number[] {
  const values = Array.from<number | null | undefined>(plot.data[seriesIndex] ?? []);
  return values.flatMap((value, i) => (value !== null && value !== undefined && (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null ? [i] : []));
}

const colourNames = ['--line-1', '--line-2', '--line-3'];

export function Chart({ title, series, lines, format }: { title: string; series: Series; lines: LineSpec[]; format: (value: number | null) => string }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const dark = useDark();
  const data = [series.times, ...lines.map((line) => series.values[line.name])] as uPlot.AlignedData;
  const names = lines.map((line) => line.name).join();

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const css = getComputedStyle(document.documentElement);
    const colour = (name: string) => css.getPropertyValue(name).trim();
    const axis = { stroke: colour('--muted'), grid: { stroke: colour('--grid'), width: 1 }, ticks: { stroke: colour('--grid'), width: 1, size: 4 }, font: '11px system-ui, sans-serif' };
    const made = new uPlot({
      width: element.clientWidth || 300, height: 150, legend: { show: false },
      cursor: { drag: { x: false, y: false }, points: { size: 5 } },
      scales: { x: { time: true, range: (_plot, min, max) => [Math.min(min ?? 0, (max ?? 0) - shortestSpan), max ?? 0] }, y: { range: (_plot, _min, max) => [0, Math.max(1, (max ?? 0) * 1.15)] } },
      axes: [{ ...axis, size: 26, space: 70, values: clockLabels }, { ...axis, size: 52, space: 32, values: (_plot, splits) => splits.map((value, i) => (i > 0 && format(value) === format(splits[i - 1]!) ? '' : format(value))) }],
      series: [{}, ...lines.map((line, i): uPlot.Series => ({ label: line.label, stroke: colour(colourNames[i % colourNames.length]!), width: 1.75,
        ...(line.dash ? { dash: [5, 4] } : {}), spanGaps: false, points: { show: true, size: 4, fill: colour(colourNames[i % colourNames.length]!), filter: lonely } }))],
    }, data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: 150 }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
    // New data is set below; only another look needs another plot.
  }, [dark, names]);

  useEffect(() => plot.current?.setData(data), [series, names, dark]);

  const latest = lines.map((line) => ({ ...line, value: format(series.values[line.name].at(-1) ?? null) }));
  return (
    <figure className="card chart half">
      <figcaption><h2>{title}</h2>
        <ul className="legend">{latest.map((line, i) => <li key={line.name}><span className={`swatch line-${i + 1}${line.dash ? ' dash' : ''}`} aria-hidden="true" />{line.label} <b>{line.value}</b></li>)}</ul>
      </figcaption>
      <div ref={box} className="plot" role="img" aria-label={`${title} over the last minutes. Latest: ${latest.map((line) => `${line.label} ${line.value}`).join(', ')}.`} />
    </figure>
  );
}
