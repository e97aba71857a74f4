// pg-boss: a queue with notifications; a batch is one claim and one completion, its deliveries run side by side.
import { PgBoss } from 'pg-boss';
import { ATTEMPTS_MAX, DELIVERIES_IN_FLIGHT, POOL_SIZE, databaseUrl, deliver, front, mode, ready } from './common.mjs';

const QUEUE = 'deliver';
const WORKERS = 2;
const JOBS_A_BATCH = 1000;

const boss = new PgBoss({
  connectionString: databaseUrl,
  max: POOL_SIZE,
  supervise: mode === 'worker',
  schedule: false,
  migrate: mode === 'setup',
  createSchema: mode === 'setup',
  useListenNotify: mode === 'worker',
});
boss.on('error', (error) => console.error(String(error)));
await boss.start();

// Delivers a batch, some at a time; each job gets a result of its own.
async function deliverAll(jobs) {
  const results = new Array(jobs.length);
  let next = 0;
  const lane = async () => {
    while (next < jobs.length) {
      const place = next++;
      const { id, data } = jobs[place];
      try {
        await deliver(data);
        results[place] = { id, status: 'completed' };
      } catch (error) {
        results[place] = { id, status: 'failed', output: { message: String(error) } };
      }
    }
  };
  await Promise.all(Array.from({ length: DELIVERIES_IN_FLIGHT / WORKERS }, lane));
  return results;
}

if (mode === 'setup') {
  await boss.createQueue(QUEUE, {
    policy: 'standard',
    partition: true,
    notify: true,
    retryLimit: ATTEMPTS_MAX,
    retryDelay: 5,
    retryBackoff: true,
  });
  process.exit(0);
} else if (mode === 'front') {
  await front(
    (message) => boss.send(QUEUE, message),
    (messages) => boss.insert(QUEUE, messages.map((data) => ({ data }))),
  );
} else {
  const settings = {
    batchSize: JOBS_A_BATCH,
    localConcurrency: WORKERS,
    pollingIntervalSeconds: 0.5,
    burstWhenBatchFull: true,
    perJobResults: true,
  };
  await boss.work(QUEUE, settings, deliverAll);
  ready();
}
