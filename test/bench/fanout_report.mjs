// The page's part about the fan-out's delivery.
import { median, ratio } from './statistics.mjs';
import { ms, reached, row, spread, whole } from './report_text.mjs';

/** @typedef {import('./fanout.mjs').FanoutResult} FanoutResult */
/** @typedef {import('./fanout_throughput.mjs').Throughput} Throughput */

const perCpu = (/** @type {Throughput[]} */ list) => list.map((one) => one.perCpuSecond);
/** How much the rounds of one way deliver in a CPU second, against those of another. @param {Record<string, Throughput[]>} of @param {string} bare */
const against = (of, bare) => ratio(perCpu(of.ours ?? []), perCpu(of[bare] ?? []));
/** What two loops on two cores deliver, against one on one. @param {Record<string, Throughput[]>} of */
function scaling(of) {
  const pair = ratio(perCpu(of[2] ?? []), perCpu(of[1] ?? []));
  return { median: 2 * pair.median, min: 2 * pair.min, max: 2 * pair.max };
}

/** @param {FanoutResult} result */
export function fanoutSummary({ throughput, pace, loops, storm, idle }) {
  const { trickle, saturated, topics } = throughput.results;
  let text = '';
  for (const [name, of, against_, bare, target] of /** @type {const} */ ([
    ['deliveries, trickle, 1 000 subscribers, 256 B', trickle, 'bare send()', 'bare', 0.7],
    ['deliveries, saturated', saturated, 'bare writev(), same bytes', 'bare', 0.7],
    ['deliveries, 1 000 topics with a subscriber each', topics, 'bare send()', 'bare', 0.8]])) {
    const found = against(of, bare);
    text += row(name, against_, `>= ${target.toFixed(2)}`, spread(found), reached(found.median >= target));
  }
  const late = ratio(pace.rounds.ours.map((p) => p.p99), pace.rounds.bare.map((p) => p.p99));
  text += row(`${pace.perSecond} messages/s to ${whole(pace.subscribers)} subscribers, p99 with the commit`, 'bare send()', '<= 1.25',
    spread(late), reached(late.median <= 1.25));
  for (const [mode, of] of Object.entries(loops)) {
    text += row(`two loops, ${mode}, by CPU time`, 'one loop', '>= 1.70', spread(scaling(of)), reached(scaling(of).median >= 1.7));
  }
  text += row(`${whole(storm.clients)} resumes of ${whole(storm.missed)} events, journal reads`, 'one client', '<= 2x',
    `${storm.all.reads} against ${storm.one.reads}`, reached(storm.all.reads <= 2 * storm.one.reads));
  text += row('the same, until all have everything', 'bare writev()', '', `${storm.all.seconds.toFixed(1)} s against ${storm.bare.seconds.toFixed(1)} s`, '');
  text += row('memory of an idle connection, plain', 'bare', '<= 4 kB', `${whole(idle.memory.ours)} bytes against ${whole(idle.memory.bare)}`,
    reached(idle.memory.ours <= 4096));
  text += row(`1 000 subscribers beside ${whole(idle.beside.connections)} idle, 200 events/s, p99 with the commit`, '', '<= 10 ms',
    `${ms(idle.beside.p99)} ms`, reached(idle.beside.p99 <= 10 && idle.beside.closed === 0));
  return text;
}

/** @param {import('./report.mjs').Raw<FanoutResult>} raw */
export function fanoutSection({ options, result }) {
  const { throughput, peers, pace, loops, storm, idle } = result;
  let text = `## Delivery

The whole fan-out (Phoenix framing, JSON, counters) fed by commits in PostgreSQL, on one core; PostgreSQL, the subscribers
(\`oa-sync bench\`) and the driver have the other. The bare server (\`test/bench/bare_server.cpp\`) is an epoll loop that
sends ready frames and does nothing else; it is driven in the same way, in turns, ${options.rounds} rounds of ${options.seconds} s. What is
compared is deliveries for each second of the server's CPU (all its threads), because on two cores the commits and the
subscribers decide the rate by the clock, which stands beside it.

- trickle: 1 000 subscribers of one topic, payload of 256 bytes; the next event is committed when the one before has
  arrived everywhere, so each delivery is a frame and a write of its own. "same bytes" sends as many as the fan-out's frame has (${whole(throughput.frameBytes)}).
- saturated: commits of 400 events, at most three of them under way, so that many are pending; the bare server sends the frames that
  were recorded from the fan-out, all pending ones in one writev(). An event takes ${whole(throughput.bytesPerEvent)} bytes in them.
- topics: 1 000 topics with one subscriber each, one transaction with an event of each at a time; the bare server makes each
  message on its own.
- peers, in the trickle's place: every message is published in the server's own way, with no database behind it.

| | | deliveries a CPU second | deliveries/s | ours : this, by CPU | frames per delivery |
|---|---|--:|--:|--:|--:|
`;
  const names = { ours: 'oa-sync-fanout', bare: 'bare', bareSameBytes: 'bare, same bytes' };
  for (const [mode, of] of Object.entries(throughput.results)) {
    for (const [way, name] of Object.entries(names)) {
      const list = of[way];
      if (!list) continue;
      text += row(mode, name, whole(median(perCpu(list))), whole(median(list.map((r) => r.perSecond))),
        way === 'ours' ? 1 : spread(against(of, way)), median(list.map((r) => r.frames / r.deliveries)).toFixed(3));
    }
  }
  for (const [name, list] of Object.entries(peers)) {
    text += row('trickle', name, whole(median(list.map((r) => r.perCpuSecond))), whole(median(list.map((r) => r.perSecond))),
      spread(ratio(perCpu(throughput.results.trickle.ours ?? []), list.map((r) => r.perCpuSecond))), '');
  }
  text += `
${pace.perSecond} messages/s to ${whole(pace.subscribers)} subscribers for ${options.latencySeconds} s, milliseconds. The fan-out's count from before the row was sent to PostgreSQL,
so commit and decoding are in them; the bare server's from before the first send().

| | p50 | p99 | worst | commit alone, p50 | p99 |
|---|--:|--:|--:|--:|--:|
`;
  for (const [way, list] of Object.entries(pace.rounds)) {
    const of = (/** @type {keyof (typeof list)[number]} */ key) => ms(median(list.map((p) => p[key])));
    text += row(way === 'ours' ? 'oa-sync-fanout' : 'bare', of('p50'), of('p99'), of('max'), way === 'ours' ? of('commitP50') : '',
      way === 'ours' ? of('commitP99') : '');
  }
  text += `
Two loops: CPU time of a delivery with \`--loops 2\` against \`--loops 1\`, because two cores that also run the load can't give a core
to each loop; scaling is twice the ratio. Trickle ${spread(scaling(loops.trickle ?? {}))}, saturated ${spread(scaling(loops.saturated ?? {}))}.

Storm (${storm.at.slice(0, 16).replace('T', ' ')} UTC): ${whole(storm.clients)} clients connect and resume ${whole(storm.missed)} events each: ${storm.all.seconds.toFixed(1)} s from the first connection to the last event
(${storm.all.cpu.toFixed(1)} s of the server's CPU, ${whole(storm.all.bytes / 1e6)} MB), ${storm.all.reads} ${storm.all.reads === 1 ? 'read' : 'reads'} of the journal, where one client takes ${storm.one.reads}; the bare server, with the same bytes,
${storm.bare.seconds.toFixed(1)} s (${storm.bare.cpu.toFixed(1)} s).

Idle: ${whole(idle.memory.ours)} bytes of anonymous resident memory for each of ${whole(idle.memory.connections)} joined, subscribed connections (${whole(idle.memory.bare)} in the bare server; the
kernel's buffers are in neither). ${whole(idle.beside.connections)} idle connections on ${idle.beside.fanouts} fan-outs (as many as the descriptor limit of a process asks for) on one
core took ${(idle.beside.openedMs / 1000).toFixed(0)} s to connect and subscribe; beside them 1 000 subscribers got ${options.eventsPerSecond} events/s with p50 ${ms(idle.beside.p50)} ms and p99 ${ms(idle.beside.p99)} ms,
counted from before the commit; ${idle.beside.closed} were closed.

`;
  return text;
}
