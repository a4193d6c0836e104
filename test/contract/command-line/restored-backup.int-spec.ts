import { type Backup, backUp, noBackup } from '../../support/backup';
import type { DatabaseName } from '../../support/database';
import { eventually } from '../../support/eventually';
import { TwoServices } from './two-services';

const DATABASES: readonly DatabaseName[] = ['postgres', 'mariadb'];

interface Found {
  readonly counts: Readonly<Record<string, number>>;
  readonly repaired: number;
  readonly differences: readonly { readonly kind: string; readonly key: string }[];
}

/** Each database is dumped in the midst of load, and restored when more has happened since. */
describe.each(DATABASES)('reconcile on %s after a backup was restored', (database) => {
  let services: TwoServices;
  let backup: Backup | undefined;
  let isLoading: boolean;
  let load: Promise<void>;
  let placed: string[];
  /** Why nothing can be tried here. */
  let obstacle: string | undefined;

  beforeEach(async () => {
    placed = [];
    services = await TwoServices.start(database);
    const { database: own } = services.order;
    obstacle = await noBackup({ kind: own.kind, query: own.query.bind(own) });
    if (obstacle !== undefined) process.stderr.write(`Not tried on ${database}: ${obstacle}.\n`);
  });
  afterEach(async () => {
    await endLoad();
    await backup?.dispose();
    await services.dispose();
  });

  function startLoad(): void {
    isLoading = true;
    load = (async () => {
      while (isLoading) await Promise.all([place(), place(), place()]);
    })();
  }

  async function place(): Promise<void> {
    const order = `order ${placed.length + 1}`;
    placed.push(order);
    await services.place(order);
  }

  async function endLoad(): Promise<void> {
    isLoading = false;
    await load;
  }

  /** Everything has ended. */
  async function quiet(): Promise<void> {
    await endLoad();
    await eventually(async () => expect((await consumed()).length).toBe(placed.length));
  }

  async function reconcile(...more: readonly string[]): Promise<Found> {
    const urls = ['--producer', services.order.database.url, '--consumer', services.stock.database.url];
    const { output } = await services.run('reconcile', ...urls, '--since', '1h', ...more, '--json');
    return JSON.parse(output) as Found;
  }

  const deductions = async (): Promise<string[]> =>
    (await services.stock.query<{ orderId: string }>('SELECT "orderId" FROM deduction')).map(({ orderId }) => orderId);
  const keysOf = ({ differences }: Found, kind: string): string[] =>
    differences
      .filter((each) => each.kind === kind)
      .map(({ key }) => key)
      .sort();
  const consumed = async (): Promise<string[]> =>
    (await services.order.outbox())
      .filter(({ status }) => status === 'consumed')
      .flatMap(({ event_key }) => event_key ?? []);
  const atLeast = (count: number): Promise<unknown> =>
    eventually(async () => expect((await consumed()).length).toBeGreaterThanOrEqual(count));
  const without = (all: readonly string[], some: readonly string[]): string[] =>
    all.filter((each) => !some.includes(each)).sort();

  it('of the consumer: exactly what its database has lost is sent again, and done once', async () => {
    if (obstacle !== undefined) return;
    startLoad();
    await atLeast(15);
    backup = await backUp(services.stock.database);
    await atLeast((await consumed()).length + 15);
    await quiet();
    await services.stopStock();
    const before = await deductions();
    startLoad();
    await backup.restore();
    const lost = without(before, await deductions());
    expect(lost.length).toBeGreaterThan(10);
    await services.startStock();

    const looked = await reconcile();
    const found = keysOf(looked, 'consumer-lost-it');
    expect(without(found, lost)).toEqual([]);
    // A copy that was under way all the time has been done again by itself.
    expect(without(without(lost, found), await deductions())).toEqual([]);
    expect(found.length).toBeGreaterThan(10);
    expect(looked.counts['producer-lost-it']).toBe(0);

    const repaired = await reconcile('--repair', '--inbox-hours', '336', '--why', 'restored');
    expect(without(keysOf(repaired, 'consumer-lost-it'), lost)).toEqual([]);
    expect(repaired.repaired).toBe(repaired.counts['consumer-lost-it']! + repaired.counts['receipt-lost']!);
    await endLoad();
    await eventually(async () => expect((await deductions()).sort()).toEqual([...placed].sort()));
    await eventually(async () => expect((await consumed()).length).toBe(placed.length));
    expect((await reconcile()).counts).toEqual({ 'consumer-lost-it': 0, 'receipt-lost': 0, 'producer-lost-it': 0 });
  });

  it('of the producer: what its database has lost is listed, and nothing else is; the rest ends, and nothing is done twice', async () => {
    if (obstacle !== undefined) return;
    startLoad();
    await atLeast(15);
    backup = await backUp(services.order.database);
    await atLeast((await consumed()).length + 15);
    await quiet();
    await services.stopOrder();
    await backup.restore();
    const kept = (await services.order.outbox()).flatMap(({ event_key }) => event_key ?? []);
    const lost = without(placed, kept);
    expect(lost.length).toBeGreaterThan(10);
    await services.startOrder();
    startLoad();

    const looked = await reconcile();
    expect(keysOf(looked, 'producer-lost-it')).toEqual(lost);
    expect(looked.counts['consumer-lost-it']).toBe(0);
    const repair = await services.run(
      'reconcile',
      ...['--producer', services.order.database.url, '--consumer', services.stock.database.url],
      ...['--since', '1h', '--repair', '--inbox-hours', '336'],
    );
    expect(repair.exitCode).toBe(1);
    expect(repair.output).toContain(
      `${lost.length} × producer-lost-it: it was handled, and the outbox does not know it`,
    );
    expect(repair.output).toContain('Nothing can be sent.\n');

    await endLoad();
    // What was under way when the dump was made was sent again by itself, and recognised.
    await eventually(async () => expect((await consumed()).sort()).toEqual(without(placed, lost)));
    expect((await deductions()).sort()).toEqual([...placed].sort());
    expect((await reconcile()).counts).toEqual({
      'consumer-lost-it': 0,
      'receipt-lost': 0,
      'producer-lost-it': lost.length,
    });
  });
});
