// What the peers share: arguments, delivery to the sink, the HTTP front, and how a child of `bench` speaks.
import fastify from 'fastify';
import { Agent } from 'undici';

const BODY_BYTES_MAX = 8 << 20;

// node FILE setup|front|worker DATABASE_URL [SINK_URL]
export const [mode, databaseUrl, sinkUrl] = process.argv.slice(2);
export const DELIVERIES_IN_FLIGHT = 64;
export const POOL_SIZE = 32;
export const ATTEMPTS_MAX = 10;

const agent = new Agent({ connections: DELIVERIES_IN_FLIGHT, pipelining: 1, keepAliveTimeout: 30_000 });

// One delivery: POST the message as JSON, read the answer, fail on another status than 2xx.
export async function deliver(message) {
  const answer = await agent.request({
    origin: sinkUrl,
    path: '/',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(message),
  });
  await answer.body.text();
  if (answer.statusCode >= 300) throw new Error(`status ${answer.statusCode}`);
}

// The simplest reasonable front: one message a call, or an array of them.
export async function front(addOne, addMany) {
  const app = fastify({ bodyLimit: BODY_BYTES_MAX });
  app.post('/message', async (request, reply) => {
    reply.code(202);
    return { id: await addOne(request.body) };
  });
  app.post('/messages', async (request, reply) => {
    await addMany(request.body);
    reply.code(202);
    return { accepted: request.body.length };
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { address, port } = app.server.address();
  ready({ address: `${address}:${port}` });
}

// The first line tells that it runs; the end of standard input ends it.
export function ready(firstLine = {}) {
  console.log(JSON.stringify(firstLine));
  process.stdin.on('end', () => process.exit(0)).resume();
}
