// graphile-worker: its local queue and its batched completion are on, as its page on performance advises.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';
import { ATTEMPTS_MAX, DELIVERIES_IN_FLIGHT, POOL_SIZE, databaseUrl, deliver, front, mode, ready } from './common.mjs';

const logger = new Logger(() => (level, message) => {
  if (level === 'error') console.error(message);
});

async function utilities() {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL_SIZE });
  pool.on('error', (error) => console.error(String(error)));
  return makeWorkerUtils({ pgPool: pool, logger });
}

if (mode === 'setup') {
  const utils = await utilities();
  await utils.migrate();
  // A first job registers the name of the task.
  await utils.addJob('deliver', {});
  await utils.withPgClient((client) => client.query('DELETE FROM graphile_worker._private_jobs'));
  process.exit(0);
} else if (mode === 'front') {
  const utils = await utilities();
  await front(
    async (message) => (await utils.addJob('deliver', message, { maxAttempts: ATTEMPTS_MAX })).id,
    (messages) =>
      utils.addJobs(messages.map((payload) => ({ identifier: 'deliver', payload, maxAttempts: ATTEMPTS_MAX }))),
  );
} else {
  const worker = {
    connectionString: databaseUrl,
    concurrentJobs: DELIVERIES_IN_FLIGHT,
    maxPoolSize: 12,
    // Jobs that came while it was fetching are not announced again: the next look must be near.
    pollInterval: 100,
    localQueue: { size: 2000, refetchDelay: { durationMs: 10 } },
    completeJobBatchDelay: 250,
    failJobBatchDelay: 0,
    logger,
  };
  const runner = await run({ preset: { worker }, noHandleSignals: true, taskList: { deliver } });
  ready();
  await runner.promise;
}
