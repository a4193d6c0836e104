import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { packLibrary } from '../../tools/pack/pack-library';
import { createOwnedFolder } from '../../tools/servers/owned-folder';
import { freePort } from '../../tools/servers/ports';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { usePrivateServers } from '../support/private-servers';
import { type App, startApp } from '../support/processes';

const ROOT = resolve(__dirname, '../..');
const PACKAGE = 'nestjs-reliable-mq';
const PREPARE_WITHIN_MS = 300_000;
const START_WITHIN_MS = 60_000;

type Service = 'order' | 'inventory';

/** The names that it uses on the broker are those of the README. */
const servers = usePrivateServers();

describe('the quick start of the README, compiled as it is written, against the packed library', () => {
  const folder = createOwnedFolder();
  const shop = folder.path;
  const databases = new Map<Service, TestDatabase>();
  const ports = new Map<Service, number>();
  const apps: App[] = [];

  beforeAll(async () => {
    cpSync(join(ROOT, 'docs/quick-start'), shop, { recursive: true });
    installInto(join(shop, 'node_modules'));
    const compiler = require.resolve('typescript/bin/tsc');
    await promisify(execFile)(
      process.execPath,
      [compiler, '-p', '.', '--typeRoots', join(ROOT, 'node_modules/@types')],
      {
        cwd: shop,
      },
    );
    const AMQP_URL = (await servers.rabbitmq()).url;
    for (const service of ['inventory', 'order'] as const) {
      const database = await createTestDatabase();
      const port = await freePort();
      databases.set(service, database);
      ports.set(service, port);
      const env = { AMQP_URL, DATABASE_URL: database.url, PORT: String(port) };
      const ready = { line: /Nest application successfully started/ };
      const script = join(shop, `dist/${service}/main.js`);
      apps.push(await startApp({ script, cwd: shop, env, ready, readyWithinMs: START_WITHIN_MS }));
    }
  }, PREPARE_WITHIN_MS);

  afterAll(async () => {
    await Promise.all(apps.map((app) => app.stop()));
    await Promise.all([...databases.values()].map((database) => database.drop()));
    folder.remove();
  });

  it('takes the stock of an order', async () => {
    await call('inventory', 'PUT', '/stock/mug', { available: 5 });

    await call('order', 'POST', '/orders', { sku: 'mug', quantity: 2 });

    await eventually(async () => (await call('inventory', 'GET', '/stock/mug')).available === 3);
  });

  it('cancels an order that there is not enough stock for', async () => {
    const { id } = await call('order', 'POST', '/orders', { sku: 'mug', quantity: 100 });

    const order = await eventually(async () => {
      const found = await call('order', 'GET', `/orders/${String(id)}`);
      return found.status !== 'PLACED' && found;
    });
    expect(order.status).toMatch(/^CANCELLED: .*not enough of mug/);
    await expect(call('inventory', 'GET', '/stock/mug')).resolves.toMatchObject({ available: 3 });
  });

  it('has a test of its handler that passes', async () => {
    const database = await createTestDatabase();
    const env = { ...process.env, DATABASE_URL: database.url };
    const args = ['--test', 'dist/inventory/stock.test.js'];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: shop, env });
    await database.drop();

    expect(stdout).toMatch(/pass 1\n/);
    expect(stdout).toMatch(/fail 0\n/);
  });

  async function call(service: Service, method: string, path: string, body?: object): Promise<Record<string, unknown>> {
    const response = await fetch(`http://127.0.0.1:${ports.get(service)}${path}`, {
      method,
      headers: { connection: 'close', 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  }
});

/** The packed library beside the workspace's own packages. */
function installInto(modules: string): void {
  const tarball = packLibrary(join(modules, '../pack'));
  mkdirSync(modules);
  cpSync(join(dirname(tarball), PACKAGE), join(modules, PACKAGE), { recursive: true });
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.') && name !== PACKAGE) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
}
