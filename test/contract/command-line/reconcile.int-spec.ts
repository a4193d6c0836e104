import type { DatabaseName } from '../../support/database';
import { eventually } from '../../support/eventually';
import { TwoServices } from './two-services';

const DATABASES: readonly DatabaseName[] = ['postgres', 'mariadb'];
const MINUTE_MS = 60_000;

interface Found {
  readonly counts: Readonly<Record<string, number>>;
  readonly repaired: number;
  readonly differences: readonly { eventId: string; kind: string; type: string; key: string; repaired: boolean }[];
}

describe.each(DATABASES)('reconcile on %s', (database) => {
  let services: TwoServices;
  let isLoading: boolean;
  let load: Promise<void>;
  const orders = new Map<string, string>();

  beforeEach(async () => {
    orders.clear();
    services = await TwoServices.start(database);
  });
  afterEach(async () => {
    isLoading = false;
    await load;
    await services.dispose();
  });

  async function place(): Promise<void> {
    const order = `order ${orders.size + 1}`;
    orders.set(order, '');
    orders.set(order, await services.place(order));
  }

  function startLoad(): void {
    isLoading = true;
    load = (async () => {
      while (isLoading) await Promise.all([place(), place(), place()]);
    })();
  }

  async function endLoad(): Promise<void> {
    isLoading = false;
    await load;
  }

  const run = (...more: readonly string[]) =>
    services.run(
      'reconcile',
      '--producer',
      services.order.database.url,
      '--consumer',
      services.stock.database.url,
      ...more,
    );
  const json = async (...more: readonly string[]): Promise<Found> =>
    JSON.parse((await run(...more, '--json')).output) as Found;
  const deductions = async (): Promise<string[]> =>
    (await services.stock.query<{ orderId: string }>('SELECT "orderId" FROM deduction')).map(({ orderId }) => orderId);
  const consumed = async (): Promise<number> =>
    (await services.order.outbox()).filter(({ status }) => status === 'consumed').length;
  const moment = (inMs: number): string => {
    const text = new Date(Date.now() + inMs).toISOString().slice(0, 19).replace('T', ' ');
    return database === 'postgres' ? `'${text}+00'` : `'${text}'`;
  };
  const places = (count: number): string => Array.from({ length: count }, (_, index) => `$${index + 1}`).join(', ');

  /** Every order was taken from the stock once, and its event has ended. */
  async function whole(): Promise<void> {
    await eventually(async () => {
      expect((await deductions()).sort()).toEqual([...orders.keys()].sort());
      expect(await consumed()).toBe((await services.order.outbox()).length);
    });
  }

  it('repairs a consumer whose database was set back in the midst of load: what it has lost is handled again, once', async () => {
    startLoad();
    await eventually(async () => (await consumed()) >= 10);
    const [kept] = await services.stock.query<{ id: number }>('SELECT max(id) AS id FROM deduction');
    await eventually(async () => (await consumed()) >= 40);
    // What a restore to that moment does: the business goes with the inbox rows of its transactions.
    const lost = (
      await services.stock.query<{ orderId: string }>('SELECT "orderId" FROM deduction WHERE id > $1', [kept!.id])
    ).map(({ orderId }) => orderId);
    await services.stock.query(`DELETE FROM deduction WHERE "orderId" IN (${places(lost.length)})`, lost);
    await services.stock.query(`DELETE FROM reliable_mq_inbox WHERE event_key IN (${places(lost.length)})`, lost);

    const looked = await json();
    expect(looked.counts['consumer-lost-it']).toBeGreaterThan(10);
    expect(looked).toMatchObject({ repaired: 0, counts: { 'producer-lost-it': 0, 'receipt-lost': 0 } });
    expect(lost).toEqual(expect.arrayContaining(looked.differences.map(({ key }) => key)));
    expect((await run()).output).toContain('--repair sends');

    const repaired = await json('--repair', '--inbox-hours', '336', '--why', 'the stock was restored');
    expect(repaired.repaired).toBe(repaired.counts['consumer-lost-it']);
    await endLoad();
    await whole();
    expect(await run()).toMatchObject({
      exitCode: 0,
      output: expect.stringMatching(/^Producer and stock agree/) as string,
    });
    const audit = await services.json<{ operation: string; by: string; why: string; count: number }[]>('audit');
    expect(audit.reduce((sum, { count }) => sum + count, 0)).toBe(repaired.repaired);
    expect(audit[0]).toMatchObject({ operation: 'reconcile', by: 'anna', why: 'the stock was restored' });
  });

  it('finds what a producer has lost, and has the receipts sent again that it has lost, in the midst of load', async () => {
    startLoad();
    await eventually(async () => (await consumed()) >= 30);
    // Of what was published twice a second receipt may be under way.
    const ended = (await services.order.outbox())
      .filter(({ status, attempts }) => status === 'consumed' && attempts === 1)
      .slice(0, 20);
    const keys = ended.map(({ payload }) => (JSON.parse(payload) as { orderId: string }).orderId);
    const [gone, setBack] = [keys.slice(0, 5), keys.slice(5)];
    const earlier = moment(-2 * MINUTE_MS);
    await services.stock.query(`UPDATE reliable_mq_inbox SET ended_at = ${earlier} WHERE ended_at IS NOT NULL`);
    // What a restore to an earlier moment does, and one to a moment when receipts were awaited.
    await services.order.query(`DELETE FROM reliable_mq_outbox WHERE event_key IN (${places(5)})`, gone);
    await services.order.query(
      `UPDATE reliable_mq_outbox SET status = 'published', outcomes = '{}', ended_at = NULL, due_at = ${moment(60 * MINUTE_MS)}
       WHERE event_key IN (${places(setBack.length)})`,
      setBack,
    );

    const looked = await json();
    expect(looked.counts).toEqual({
      'consumer-lost-it': 0,
      'receipt-lost': setBack.length,
      'producer-lost-it': gone.length,
    });
    expect(
      looked.differences
        .filter(({ kind }) => kind === 'producer-lost-it')
        .map(({ key }) => key)
        .sort(),
    ).toEqual([...gone].sort());

    // What is gone is left.
    const repair = await run('--repair', '--inbox-hours', '336');
    expect(repair.exitCode).toBe(1);
    expect(repair.output).toContain(`${setBack.length} are sent again.\n`);
    await endLoad();
    await whole();
    expect((await json()).counts).toEqual({
      'consumer-lost-it': 0,
      'receipt-lost': 0,
      'producer-lost-it': gone.length,
    });
  });
});
