/** The topics of the Codex page; their names are part of the wire's defaults. */
export const runsTopic = 'runtime.run_summaries';
export const workersTopic = 'runtime.codex_worker_summaries';
