import { join } from 'node:path';
import { type CommandResult, runCommand } from '../../../libs/reliable-mq/src/operate/cli/run-command';
import type { Rehearsal } from '../../../libs/reliable-mq/src/operate/rehearsals';
import type { DatabaseName } from '../../support/database';
import { eventually } from '../../support/eventually';
import { TestBroker } from '../../support/test-broker';
import { ran } from './replayed-app.fixture';
import { TwoServices } from './two-services';

const DATABASES: readonly DatabaseName[] = ['postgres', 'mariadb'];
const MODULE = `${join(__dirname, 'replayed-app.fixture')}#AppModule`;
const TABLES = ['reliable_mq_inbox', 'reliable_mq_outbox', 'reliable_mq_audit', 'reliable_mq_owner', 'deduction'];
const SURE = ['--dry-run', '--yes-run-the-handler', '--module', MODULE];

interface Told {
  readonly passed: number;
  readonly failed: number;
  readonly rehearsals: readonly Rehearsal[];
}

describe.each(DATABASES)('replay --dry-run on %s', (database) => {
  let services: TwoServices;
  let broker: TestBroker;
  const environment = { ...process.env };

  beforeEach(async () => {
    services = await TwoServices.start(database);
    broker = new TestBroker();
    Object.assign(process.env, {
      REPLAY_DATABASE_KIND: database,
      REPLAY_DATABASE_URL: services.stock.database.url,
      REPLAY_AMQP_URL: broker.urls[0],
      REPLAY_EXCHANGE: broker.exchange,
    });
    ran.length = 0;
  });
  afterEach(async () => {
    process.env = environment;
    await services.dispose();
    await broker.dispose();
  });

  /** Orders that this release could not take; then it ends. */
  async function givenUp(...orders: readonly string[]): Promise<string[]> {
    services.handler.onDeduct = () => {
      throw new Error('a bad release');
    };
    const ids: string[] = [];
    for (const order of orders) ids.push(await services.place(order));
    await eventually(async () =>
      expect((await services.stock.inbox()).map(({ status }) => status)).toEqual(orders.map(() => 'dead')),
    );
    await services.stock.close();
    return ids;
  }

  const replay = (...args: readonly string[]): Promise<CommandResult> =>
    runCommand(['replay', ...args], { env: {}, user: 'anna' });
  const json = async (...args: readonly string[]): Promise<Told> =>
    JSON.parse((await replay(...args, ...SURE, '--json')).output) as Told;
  const rows = async (): Promise<string> => {
    const tables = await Promise.all(TABLES.map((table) => services.stock.query(`SELECT * FROM ${table}`)));
    return JSON.stringify(tables);
  };

  it('says what would pass and what would not, with the stack, and leaves no trace', async () => {
    const ids = await givenUp('mended', 'broken', 'rejected', 'endless');
    const before = await rows();
    const { passed, failed, rehearsals } = await json(...ids);
    expect({ passed, failed }).toEqual({ passed: 1, failed: 3 });
    const common = { consumer: 'stock', type: 'order.created', handler: 'StockService#deduct', recorded: 1 };
    expect(rehearsals).toMatchObject([
      { ...common, eventId: ids[0], verdict: 'passes', reason: null, stack: null },
      { ...common, verdict: 'fails', reason: 'TypeError: quantity is not defined' },
      { ...common, verdict: 'fails', reason: 'RejectEvent: sold out' },
      { ...common, verdict: 'fails', reason: expect.stringContaining('did not finish event') as string },
    ]);
    expect(rehearsals[1]?.stack).toMatch(/at StockService\.deduct .*replayed-app\.fixture/);
    expect(ran).toEqual(['mended', 'broken', 'rejected', 'endless']);
    expect(await rows()).toBe(before);

    const told = await replay(ids[0]!, ids[1]!, '--consumer', 'stock', ...SURE);
    expect(told.exitCode).toBe(1);
    expect(told.output).toContain(
      `PASSES  ${ids[0]}  stock  order.created  StockService#deduct, would record 1\nFAILS  ${ids[1]}`,
    );
    expect(told.output).toMatch(/TypeError: quantity is not defined\n +at StockService\.deduct /);
    expect(told.output).toMatch(/\n1 of 2 would pass\. All was rolled back\.\n$/);
    expect(await replay(ids[0]!, ...SURE)).toMatchObject({ exitCode: 0, problem: '' });
    expect(await rows()).toBe(before);
  });

  it('sees what only the commit would show', async () => {
    const [id] = await givenUp('swallowed');
    // MySQL and MariaDB go on after a statement that has failed.
    expect(await json(id!)).toMatchObject(database === 'postgres' ? { failed: 1 } : { passed: 1 });
    await services.stock.query(
      database === 'postgres'
        ? 'ALTER TABLE deduction ADD UNIQUE ("orderId") DEFERRABLE INITIALLY DEFERRED'
        : 'ALTER TABLE deduction ADD UNIQUE ("orderId")',
    );
    await services.stock.query(`INSERT INTO deduction ("orderId") VALUES ('mended')`);
    await services.stock.query(`UPDATE reliable_mq_inbox SET body = $1`, [Buffer.from('{"orderId":"mended"}')]);
    expect((await json(id!)).rehearsals).toMatchObject([
      { verdict: 'fails', reason: expect.stringMatching(/duplicate/i) as string },
    ]);
    await services.stock.query(`UPDATE reliable_mq_inbox SET body = $1`, [Buffer.from('{"orderId":7}')]);
    expect((await json(id!)).rehearsals).toMatchObject([
      { verdict: 'fails', reason: expect.stringContaining('its payload is invalid: orderId') as string, recorded: 0 },
    ]);
  });

  it('consumes nothing, publishes nothing, and runs no scheduled job', async () => {
    const [id] = await givenUp('ticking');
    expect(await json(id!)).toMatchObject({ passed: 1 });
    expect(ran).toEqual(['ticking']);
    await broker.onChannel(async (channel) => {
      channel.on('error', () => undefined);
      await expect(channel.checkExchange(broker.exchange)).rejects.toThrow('NOT_FOUND');
    });
  });

  it('says what it cannot try', async () => {
    services.handler.onDeduct = () => undefined;
    const handled = await services.place('done');
    await eventually(async () => expect(await services.stock.inbox()).toMatchObject([{ status: 'handled' }]));
    await services.stock.close();
    const nowhere = '01900000-0000-7000-8000-000000000001';
    const { passed, rehearsals } = await json(handled, nowhere);
    expect(passed).toBe(0);
    expect(rehearsals).toMatchObject([
      { verdict: 'not-run', reason: expect.stringContaining('it is handled') as string },
      { verdict: 'not-run', reason: 'it is not in the inbox of this application' },
    ]);
    expect(ran).toEqual([]);
  });
});

describe('replay', () => {
  it.each([
    [[], 'which ones?'],
    [['1'], '--module FILE is missing'],
    [['1', '--module', MODULE], 'say --dry-run'],
    [
      ['1', '--module', MODULE, '--dry-run'],
      'HTTP calls, mails, other databases. If that is right, say --yes-run-the-handler',
    ],
    [['1', ...SURE.slice(0, 3), MODULE.replace('#AppModule', '')], 'exports AppModule, OtherModule: say which one'],
  ] as const)('of %j is refused', async (args, problem) => {
    const result = await runCommand(['replay', ...args], { env: {}, user: 'anna' });
    expect(result).toMatchObject({ exitCode: 2, problem: expect.stringContaining(problem) as string });
  });

  it('of an application that does not start says why', async () => {
    process.env['REPLAY_DATABASE_KIND'] = 'postgres';
    process.env['REPLAY_AMQP_URL'] = 'amqp://127.0.0.1:1';
    process.env['REPLAY_EXCHANGE'] = 'nowhere';
    process.env['REPLAY_DATABASE_URL'] = 'postgres://postgres@127.0.0.1:1/nowhere';
    const result = await runCommand(['replay', '1', ...SURE], { env: {}, user: 'anna' });
    expect(result).toMatchObject({ exitCode: 3, problem: expect.stringContaining('ECONNREFUSED') as string });
  });
});
