import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPrerequisites, type Machine } from './prerequisites';

type Wanted = Parameters<typeof checkPrerequisites>[0];

const WANTED: Wanted = {
  basePort: undefined,
  instances: 2,
  cluster: false,
  database: 'postgres',
  reportFile: undefined,
};

/** Everything is there, unless said otherwise. */
const machine = (changes: Partial<Machine> = {}): Machine => ({
  locateDatabase: () => undefined,
  hasRabbitmq: () => true,
  hasDocker: () => false,
  mayInstall: () => false,
  installRabbitmq: () => Promise.reject(new Error('nothing may be installed in a test')),
  canListen: () => Promise.resolve(true),
  ...changes,
});

const check = (wanted: Partial<Wanted>, changes?: Partial<Machine>): Promise<void> =>
  checkPrerequisites({ ...WANTED, ...wanted }, machine(changes));

const noPostgres = (): never => {
  throw new Error('No PostgreSQL binaries that run here.');
};

describe('the prerequisites', () => {
  it('are met where everything is there', async () => {
    await expect(check({ basePort: 20_000, reportFile: join(tmpdir(), 'report.md') })).resolves.toBeUndefined();
  });

  it('name every port that is taken', async () => {
    const canListen = (port: number): Promise<boolean> => Promise.resolve(port !== 20_001 && port !== 20_003);
    await expect(check({ basePort: 20_000 }, { canListen })).rejects.toThrow(
      'Something listens already on port 20001, 20003, and the apps would listen on 20000 to 20003: choose another --base-port',
    );
  });

  it('are looked at before anything is installed', async () => {
    const wanted = { basePort: 20_000, reportFile: '/no/such/folder/report.md' };
    const canListen = (): Promise<boolean> => Promise.resolve(false);
    await expect(check(wanted, { canListen, locateDatabase: noPostgres })).rejects.toThrow(
      /^--report .*there is no folder \/no\/such\/folder\.\nSomething listens already on port 20000, .*$/,
    );
  });

  it('say what is missing, all at once, and that a running server does not help', async () => {
    const missing = check({}, { locateDatabase: noPostgres, hasRabbitmq: () => false });
    await expect(missing).rejects.toThrow(
      /No PostgreSQL binaries.*\nThere is no RabbitMQ.*\nThe harness kills its servers/,
    );
  });

  it('let Docker stand in for rabbitmq-server, but not in a cluster', async () => {
    const docker = { hasRabbitmq: () => false, hasDocker: () => true };
    await expect(check({}, docker)).resolves.toBeUndefined();
    await expect(check({ cluster: true }, docker)).rejects.toThrow('Docker does not do for --cluster');
  });

  it('include RabbitMQ’s installation where that is allowed', async () => {
    let installed = 0;
    const debian = { hasRabbitmq: () => false, mayInstall: () => true };
    const installRabbitmq = async (): Promise<void> => void (installed += 1);
    await expect(check({}, { ...debian, installRabbitmq })).resolves.toBeUndefined();
    expect(installed).toBe(1);
    const failing = { ...debian, installRabbitmq: () => Promise.reject(new Error('apt-get failed')) };
    await expect(check({}, failing)).rejects.toThrow(/apt-get failed\nInstall it/);
  });

  it('refuse a report that would replace a folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'report-'));
    await expect(check({ reportFile: folder })).rejects.toThrow('that is a folder');
    rmSync(folder, { recursive: true });
  });
});
