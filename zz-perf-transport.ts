import { connect } from 'amqplib';
import { RabbitMqTransport } from './libs/reliable-mq/src/transport/rabbitmq/rabbitmq-transport';
const uri = 'amqp://guest:guest@127.0.0.1:5672';
const quiet = { log() {}, warn(m: unknown, o: unknown) { console.log(m, o); }, error(m: unknown, o: unknown) { console.log(m, o); }, debug() {} };
const N = 60_000, WINDOW = 1000, body = Buffer.alloc(500, 'x');
const Q = 'zzperf.q', EX = 'zzperf.ex', KEY = 'zzperf.key';
function pump(send: (i: number, done: () => void) => void): Promise<number> {
  return new Promise((resolve) => {
    const t0 = performance.now(); let sent = 0, done = 0;
    const more = () => { while (sent < N && sent - done < WINDOW) { send(sent++, onDone); } };
    const onDone = () => { done += 1; if (done === N) resolve(N / ((performance.now() - t0) / 1000)); else more(); };
    more();
  });
}
(async () => {
  const t = new RabbitMqTransport({ service: 'perf', confirmTimeoutMs: 10000, rabbitmq: { uris: [uri], exchange: EX, heartbeatSeconds: 10, reconnectMs: 500, queueType: 'quorum' } }, quiet);
  await t.start();
  const sub = await t.subscribe({ name: Q, kind: 'events', bindings: [KEY], parkingQueue: 'zzperf.p' }, 1, () => undefined);
  await sub.pause();
  const c = await connect(uri, { noDelay: process.env.NODELAY === '1' }); const ch = await c.createConfirmChannel(); const admin = await c.createChannel();
  const headers = { 'x-version': 1, 'x-attempt': 1, 'x-recorded-at': '2026-01-01T00:00:00Z' };
  const A = () => pump((i, done) => t.publish({ target: { routingKey: KEY }, messageId: `018f0000-0000-7000-8000-${String(i).padStart(12, '0')}`, type: KEY, body, headers, replyTo: 'perf.receipts', appId: 'perf' }, (o) => { if (o.status !== 'routed') throw new Error(JSON.stringify(o)); done(); }));
  const B = () => pump((i, done) => void ch.publish(EX, KEY, body, { mandatory: true, deliveryMode: 2, contentType: 'application/json', messageId: `018f0000-0000-7000-8000-${String(i).padStart(12, '0')}`, type: KEY, appId: 'perf', replyTo: 'perf.receipts', timestamp: Math.floor(Date.now() / 1000), headers }, (e) => { if (e) throw e; done(); }));
  const as: number[] = [], bs: number[] = [];
  for (let r = 0; r < 6; r += 1) {
    const a = await A(); await admin.purgeQueue(Q); const b = await B(); await admin.purgeQueue(Q);
    if (r > 0) { as.push(a); bs.push(b); }
    console.log(r, 'transport', Math.round(a), 'raw', Math.round(b), (a / b).toFixed(3));
  }
  const med = (x: number[]) => [...x].sort((p, q) => p - q)[x.length >> 1]!;
  console.log('median', Math.round(med(as)), Math.round(med(bs)), (med(as) / med(bs)).toFixed(3));
  await sub.close(); await t.close();
  for (const q of [Q, 'zzperf.p']) await admin.deleteQueue(q); await admin.deleteExchange(EX); await c.close();
})();
