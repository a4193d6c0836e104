import { type ChildProcess, fork } from 'node:child_process';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { freePort } from '../../tools/servers/ports';
import type { Bench, Benchmark } from '../benchmark';
import type { Lab } from '../lab';
import { spreadOf } from '../stats';
import { runClients } from '../works/clients';
import type { StatementCounts } from '../works/count-statements';

const ORDERS = 2_000;
const CLIENTS = 32;
/** One alone would be a queue for the lock on its row. */
const SKUS = 100;
const WARM_UP = 500;
const APPS = ['order', 'inventory'] as const;
const ROOT = join(__dirname, '..', '..');
const POLL_MS = 50;
const READY_WITHIN_MS = 30_000;
const CONFIRMED_WITHIN_MS = 120_000;
/** Of the statements that are listed: those that are sent for at least every so-manieth order. */
const LISTED_FROM = 0.05;

/** How often it is sent per order. */
interface CountedStatement {
  readonly app: string;
  readonly text: string;
  readonly count: number;
}

interface Snapshot {
  readonly counts: StatementCounts;
  readonly cpuMs: number;
  readonly rssMb: number;
}

export const saga: Benchmark = {
  name: 'saga',
  work: `${ORDERS.toLocaleString('en')} orders of ${SKUS} articles through both demo apps until CONFIRMED, ${CLIENTS} HTTP clients`,
  baseline: 'none',
  run: async (bench) => {
    const runs: Awaited<ReturnType<typeof runSaga>>[] = [];
    for (let turn = 1; turn <= bench.options.runs; turn += 1) {
      const run = await runSaga(bench);
      bench.say(
        `turn ${turn}: ${Math.round(ORDERS / run.seconds)} orders/s, ${run.roundTrips.toFixed(1)} round trips per order`,
      );
      runs.push(run);
    }
    const last = runs.at(-1);
    return {
      figures: [
        {
          name: 'saga',
          unit: 'orders/s',
          ours: spreadOf(runs.map(({ seconds }) => ORDERS / seconds)),
          cpuMsPer1000: { ours: { node: spreadOf(runs.map(({ cpuMs }) => (cpuMs / ORDERS) * 1_000)).median } },
          rssMb: { ours: spreadOf(runs.map(({ rssMb }) => rssMb)).median },
        },
        {
          name: 'saga, database round trips per order',
          unit: '',
          ours: spreadOf(runs.map(({ roundTrips }) => roundTrips)),
          target: { atMost: 12 },
        },
      ],
      failures: runs.flatMap(({ failures }) => failures),
      notes: last?.statements ?? [],
    };
  },
};

async function runSaga({ lab }: Bench): Promise<{
  readonly seconds: number;
  readonly cpuMs: number;
  readonly rssMb: number;
  readonly roundTrips: number;
  readonly statements: readonly string[];
  readonly failures: readonly string[];
}> {
  const namespace = lab.name();
  const ports = { order: await freePort(), inventory: await freePort() };
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    NODE_ENV: 'production',
    LOG_LEVEL: 'warn',
    AMQP_URL: lab.rabbitmq.url,
    MQ_NAMESPACE: namespace,
    ORDER_PORT: String(ports.order),
    INVENTORY_PORT: String(ports.inventory),
    ORDER_DATABASE_URL: await lab.postgres.createDatabase(`${namespace}_order`),
    INVENTORY_DATABASE_URL: await lab.postgres.createDatabase(`${namespace}_inventory`),
  };
  const processes = APPS.map((app) => startApp(app, environment));
  const agent = new Agent({ keepAlive: true });
  try {
    await Promise.all(APPS.map((app) => untilHealthy(ports[app], agent)));
    for (let number = 0; number < SKUS; number += 1)
      await call(ports.inventory, agent, 'PUT', `/stock/${skuOf(number)}`, { quantity: 1_000_000 });
    await place(ports.order, agent, WARM_UP);
    await untilDecided(ports.order, agent, WARM_UP);
    await lab.settle();
    const before = await Promise.all(processes.map(snapshotOf));
    const from = performance.now();
    await place(ports.order, agent, ORDERS);
    const confirmed = await untilDecided(ports.order, agent, ORDERS + WARM_UP);
    const seconds = (performance.now() - from) / 1_000;
    const after = await Promise.all(processes.map(snapshotOf));
    const perOrder = differences(before, after);
    return {
      seconds,
      cpuMs: after.reduce((sum, { cpuMs }, index) => sum + cpuMs - (before[index]?.cpuMs ?? 0), 0),
      rssMb: Math.max(...after.map(({ rssMb }) => rssMb)),
      roundTrips: perOrder.reduce((sum, { count }) => sum + count, 0),
      statements: listed(perOrder),
      failures: confirmed === ORDERS + WARM_UP ? [] : [`${confirmed} of ${ORDERS + WARM_UP} orders were confirmed`],
    };
  } finally {
    agent.destroy();
    for (const child of processes) child.kill('SIGKILL');
    await cleanUp(lab, namespace);
  }
}

function startApp(app: (typeof APPS)[number], env: NodeJS.ProcessEnv): ChildProcess {
  return fork(join(ROOT, 'apps', app, 'main.ts'), [], {
    cwd: ROOT,
    env,
    execArgv: ['-r', '@swc-node/register', '-r', join(ROOT, 'bench', 'works', 'count-statements.ts')],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

function snapshotOf(child: ChildProcess): Promise<Snapshot> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Snapshot));
    child.once('exit', () => reject(new Error('an app of the saga has ended')));
    child.send('count');
  });
}

function differences(before: readonly Snapshot[], after: readonly Snapshot[]): CountedStatement[] {
  return after
    .flatMap(({ counts }, index) =>
      Object.entries(counts).map(([text, count]) => ({
        app: APPS[index] ?? '',
        text,
        count: (count - (before[index]?.counts[text] ?? 0)) / ORDERS,
      })),
    )
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count);
}

function listed(statements: readonly CountedStatement[]): string[] {
  const rest = statements.filter(({ count }) => count < LISTED_FROM).reduce((sum, { count }) => sum + count, 0);
  return [
    ...statements
      .filter(({ count }) => count >= LISTED_FROM)
      .map(({ app, text, count }) => `${app}, ${count.toFixed(2)} per order: \`${text}\``),
    `${rest.toFixed(2)} per order: all others, what this benchmark itself asks for the orders' states among them`,
  ];
}

function skuOf(number: number): string {
  return `bench-${number % SKUS}`;
}

async function place(port: number, agent: Agent, orders: number): Promise<void> {
  await runClients(CLIENTS, orders, async (number) => {
    await call(port, agent, 'POST', '/orders', { sku: skuOf(number), quantity: 1 });
  });
}

/** @returns how many are confirmed */
async function untilDecided(port: number, agent: Agent, orders: number): Promise<number> {
  const end = performance.now() + CONFIRMED_WITHIN_MS;
  for (;;) {
    const summary = (await call(port, agent, 'GET', '/orders/summary')) as Record<string, number>;
    const confirmed = summary['CONFIRMED'] ?? 0;
    if (confirmed + (summary['FAILED'] ?? 0) >= orders || performance.now() > end) return confirmed;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function untilHealthy(port: number, agent: Agent): Promise<void> {
  const end = performance.now() + READY_WITHIN_MS;
  for (;;) {
    try {
      await call(port, agent, 'GET', '/health');
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

function call(port: number, agent: Agent, method: string, path: string, body?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const json = body === undefined ? '' : JSON.stringify(body);
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': json.length };
    const sent = request({ host: '127.0.0.1', port, method, path, agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.once('end', () => {
        const status = response.statusCode ?? 0;
        if (status >= 200 && status < 300) resolve(text === '' ? undefined : JSON.parse(text));
        else reject(new Error(`${method} ${path} answered ${status}: ${text}`));
      });
    });
    sent.once('error', reject);
    sent.end(json);
  });
}

async function cleanUp(lab: Lab, namespace: string): Promise<void> {
  const queues = (await lab.rabbitmq.listQueues()).map(({ name }) => name);
  await lab.deleteQueues(...queues.filter((name) => name.includes(namespace)));
  for (const app of APPS) await lab.dropDatabase(`${namespace}_${app}`);
}
