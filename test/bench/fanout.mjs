// The fan-out's delivery: what one core delivers, how late, to how many, beside a bare epoll loop in the same run.
import { idle } from './fanout_idle.mjs';
import { loops } from './fanout_loops.mjs';
import { pace } from './fanout_pace.mjs';
import { peers } from './fanout_peers.mjs';
import { prepare } from './fanout_stand.mjs';
import { storm } from './fanout_storm.mjs';
import { throughput } from './fanout_throughput.mjs';

/** @param {import('./ground.mjs').Ground} ground @param {(line: string) => void} log */
export async function fanout(ground, log) {
  await prepare(ground);
  return { throughput: await throughput(ground, log), peers: await peers(log), pace: await pace(ground, log),
    loops: await loops(ground, log), storm: await storm(ground, log), idle: await idle(ground, log) };
}
/** @typedef {Awaited<ReturnType<typeof fanout>>} FanoutResult */
