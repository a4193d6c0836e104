import 'reflect-metadata';
import { startProxy } from '/work/main/tools/servers/tcp-proxy';
async function main() {
  const proxy = await startProxy({ target: { host: '127.0.0.1', port: 5672 } });
  process.env.MQ_NAMESPACE = 'outage_' + process.pid;
  const { createService } = await import('/work/main/apps/platform/run-service');
  const { readSettings, merge } = await import('/work/main/apps/platform/settings');
  const { ORDER } = await import('/work/main/apps/order/order.identity');
  const { OrderModule } = await import('/work/main/apps/order/order.module');
  const { ConsoleLogger } = await import('@nestjs/common');
  const s = readSettings(ORDER, { ORDER_DATABASE_URL: 'postgres://postgres@127.0.0.1:5432/apps_order', AMQP_URL: proxy.url('amqp://guest:guest@127.0.0.1:5672') });
  const hooks = { transportChanged: (x: unknown) => console.log(performance.now() | 0, 'transport', JSON.stringify(x)), jobFinished: (x: any) => x.job === 'publish' && console.log(performance.now() | 0, JSON.stringify(x)), confirmed: (x: unknown) => console.log(performance.now() | 0, 'confirmed', JSON.stringify(x)) };
  const app = await createService(OrderModule.with({ ...s, reliableMq: merge(s.reliableMq, { hooks, rabbitmq: { reconnectMs: Number(process.argv[2] ?? 250) }, compensation: { intervalMs: 500 } }) }), { logger: new ConsoleLogger({ colors: false }) });
  await app.listen(0);
  const url = await app.getUrl();
  await new Promise((r) => setTimeout(r, 1000));
  await proxy.cut(); console.log(performance.now() | 0, 'CUT');
  console.log((await fetch(url + '/orders', { method: 'POST', body: JSON.stringify({ sku: 'x', quantity: 1 }), headers: { 'content-type': 'application/json' } })).status);
  await new Promise((r) => setTimeout(r, 1500));
  await proxy.restore(); console.log(performance.now() | 0, 'RESTORED');
  await new Promise((r) => setTimeout(r, 6000));
  console.log(await (await fetch(url + '/health')).text());
  await app.close(); await proxy.close();
}
void main();
