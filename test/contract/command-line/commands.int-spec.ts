import type { DatabaseName } from '../../support/database';
import { createTestDatabase } from '../../support/database';
import { eventually } from '../../support/eventually';
import { runCommand } from '../../../libs/reliable-mq/src/operate/cli/run-command';
import { TwoServices } from './two-services';

const DATABASES: readonly DatabaseName[] = ['postgres', 'mariadb'];

describe.each(DATABASES)('the command line on %s', (database) => {
  let services: TwoServices;

  beforeEach(async () => {
    services = await TwoServices.start(database);
  });
  afterEach(() => services.dispose());

  /** An event that its consumer has given up, with nobody to undo it. */
  async function dead(orderId: string, reason = `no stock for ${orderId}`): Promise<string> {
    services.handler.onDeduct = () => {
      throw new Error(reason);
    };
    const id = await services.place(orderId);
    await eventually(async () => {
      const [row] = await services.order.outbox({ id });
      expect(row).toMatchObject({ status: 'dead', due_at: null });
    });
    return id;
  }

  /** It handles from now on. */
  function mend(): void {
    services.handler.onDeduct = () => undefined;
  }

  async function consumed(...ids: readonly string[]): Promise<void> {
    for (const id of ids)
      await eventually(async () =>
        expect((await services.order.outbox({ id }))[0]).toMatchObject({ status: 'consumed' }),
      );
  }

  it('says in `status` what is unfinished, and exits with 1 above a bound', async () => {
    expect(await services.run('status', '--max-lag', '60', '--max-dead', '0')).toMatchObject({
      problem: '',
      exitCode: 0,
    });
    await dead('order 1');

    const above = await services.run('status', '--max-lag', '60', '--max-dead', '0');
    expect(above).toMatchObject({ problem: '', exitCode: 1 });
    expect(above.output).toMatch(/dead +1 +1 needs a person/);
    expect(above.output).toContain('ABOVE --max-dead 0: 1 dead events that need a person\n');
    expect(await services.run('status', '--max-dead', '1')).toMatchObject({ exitCode: 0 });
    expect(await services.onStock('status', '--max-given-up', '0')).toMatchObject({ exitCode: 1 });
    expect(await services.json('status')).toMatchObject({ outbox: { dead: 1, needPerson: 1 }, exceeded: [] });
  });

  it('finds an order across services, with what became of it and why', async () => {
    const id = await dead('order 1');
    const urls = ['--database', services.order.database.url, '--database', services.stock.database.url];

    const byKey = await services.run('find', 'order 1', ...urls);
    expect(byKey).toMatchObject({ problem: '', exitCode: 0 });
    expect(byKey.output).toContain(
      `event ${id}  order.created  DEAD  (key order 1, in ${services.order.database.name})`,
    );
    expect(byKey.output).toMatch(/stock +dead .*: .*no stock for order 1/);
    expect(byKey.output).toContain(`stock DEAD ${id} order.created  (in ${services.stock.database.name})`);
    expect(byKey.output).toMatch(/attempt 1, \S+: Error: no stock for order 1/);
    expect((await services.run('find', id, ...urls)).output).toBe(byKey.output);
    // One service sees its own side.
    expect((await services.onStock('find', 'order 1')).output).toMatch(/^events of other services\n {2}stock DEAD/);
    expect(await services.run('find', 'order 2', ...urls)).toMatchObject({
      exitCode: 1,
      output: expect.stringContaining('Nothing has the key or id "order 2"') as string,
    });
  });

  it('lists, shows and groups', async () => {
    const ids = [await dead('order 1'), await dead('order 2'), await dead('order 3', 'broken')];
    mend();
    await consumed(await services.place('order 4'));

    const { output } = await services.run('list', '--status', 'dead', '--limit', '2');
    expect(output.split('\n').map((line) => line.split(/ {2,}/)[0])).toEqual([
      'id',
      ids[2],
      ids[1],
      `There may be more: --before ${ids[1]}`,
      '',
    ]);
    expect(await services.json('list', '--before', ids[1]!)).toMatchObject([{ id: ids[0], key: 'order 1' }]);
    expect(await services.json('list', '--key', 'order 4')).toMatchObject([{ status: 'consumed' }]);
    const inbox = await services.onStock('list', '--inbox', '--consumer', 'stock', '--status', 'dead');
    expect(inbox.output).toContain(`${ids[0]}  stock`);
    expect(JSON.parse((await services.onStock('list', '--inbox', '--json')).output)).toHaveLength(3);
    expect(await services.run('list', '--status', 'deed')).toMatchObject({
      exitCode: 2,
      problem: expect.stringContaining('did you mean "dead"?') as string,
    });

    const shown = await services.run('show', ids[0]!);
    expect(shown.output).toContain('payload  {"orderId":"order 1"}');
    expect(await services.run('show', 'order 1')).toMatchObject({ exitCode: 1 });

    const { groups } = await services.json<{ groups: { fingerprint: string; count: number }[] }>('groups');
    expect(groups.map(({ count }) => count).sort()).toEqual([1, 2]);
    expect((await services.run('groups', '--need-person')).output).toContain(groups[0]!.fingerprint);
    expect((await services.onStock('groups', '--inbox')).output).toMatch(/\d+ +2 .*no stock for order <n>/);
  });

  it('says where a handler threw, on both sides, and tells failures by it', async () => {
    function takeOut(): never {
      throw new Error('the stock is broken');
    }
    function countUp(): never {
      throw new Error('the stock is broken');
    }
    services.handler.onDeduct = (orderId) => (orderId === 'order 2' ? countUp() : takeOut());
    const ids = [await services.place('order 1'), await services.place('order 2'), await services.place('order 3')];
    await eventually(async () =>
      expect((await services.order.outbox()).map(({ status }) => status)).toEqual(['dead', 'dead', 'dead']),
    );

    const place = /takeOut \(commands\.int-spec\.ts:\d+\)/;
    const found = await services.run(
      'find',
      'order 1',
      '--database',
      services.order.database.url,
      '--database',
      services.stock.database.url,
    );
    expect(found.output).toMatch(new RegExp(`stock +dead .*the stock is broken at ${place.source}`));
    expect(found.output).toMatch(new RegExp(`attempt 1, \\S+: Error: the stock is broken at ${place.source}`));
    expect((await services.onStock('show', ids[0]!)).output).toMatch(place);
    for (const side of [services.run('groups', '--json'), services.onStock('groups', '--inbox', '--json')]) {
      const { groups } = JSON.parse((await side).output) as { groups: { count: number; where: string }[] };
      expect(groups.map(({ count, where }) => `${count} ${where.replace(/:\d+/, '')}`)).toEqual([
        '2 takeOut (commands.int-spec.ts)',
        '1 countUp (commands.int-spec.ts)',
      ]);
    }
    const { groups } = await services.json<{ groups: { fingerprint: string }[] }>('groups');
    expect((await services.run('redrive', '--fingerprint', groups[1]!.fingerprint, '--dry-run')).output).toBe(
      `1 would be redriven:\n  ${ids[1]}\n`,
    );
  });

  it('sends dead events again: a dry run first, then a group of failures, with who and why in the audit', async () => {
    const ids = [await dead('order 1'), await dead('order 2'), await dead('order 3', 'broken')];
    const { groups } = await services.json<{ groups: { fingerprint: string; count: number }[] }>('groups');
    const { fingerprint } = groups.find(({ count }) => count === 2)!;
    mend();

    const dry = await services.run('redrive', '--fingerprint', fingerprint, '--dry-run');
    expect(dry).toMatchObject({ exitCode: 0, output: `2 would be redriven:\n  ${ids[0]}\n  ${ids[1]}\n` });
    expect((await services.run('audit')).output).toBe('Nobody has changed anything.\n');

    const done = await services.run('redrive', '--fingerprint', fingerprint, '--rate', '100', '--why', 'stock is back');
    expect(done).toMatchObject({
      exitCode: 0,
      output: expect.stringMatching(/^2 redriven \(run [\w-]+ of the audit\)\.\n$/) as string,
    });
    await consumed(ids[0]!, ids[1]!);
    expect(await services.json('audit')).toMatchObject([
      { operation: 'redrive', by: 'anna', why: 'stock is back', filter: { fingerprint }, items: [ids[0], ids[1]] },
    ]);

    const again = await services.run('redrive', ids[0]!, ids[2]!, '--by', 'bert');
    expect(again).toMatchObject({
      exitCode: 1,
      output: expect.stringContaining('1 was left alone: not dead') as string,
    });
    await consumed(ids[2]!);
    expect(await services.json('audit', '--limit', '1')).toMatchObject([{ by: 'bert', filter: null, items: [ids[2]] }]);
  });

  it('archives, and deletes', async () => {
    const ids = [await dead('order 1'), await dead('order 2')];

    expect(await services.run('archive', '--key', 'order 1', '--why', 'refunded')).toMatchObject({ exitCode: 0 });
    expect(await services.run('status', '--max-dead', '1')).toMatchObject({ exitCode: 0 });
    expect(await services.run('discard', ids[1]!)).toMatchObject({ exitCode: 0 });
    expect((await services.order.outbox()).map(({ id }) => id)).toEqual([ids[0]]);
    expect((await services.run('discard', '--all', '--dry-run')).output).toBe('Nothing would be deleted.\n');
    expect((await services.run('groups', '--archived')).output).toContain(ids[0]);
  });

  it('has a consumer try again, and pauses and resumes its queue', async () => {
    const id = await dead('order 1');
    mend();
    expect(await services.onStock('pause', 'stock', 'order.created', '--why', 'a bad release')).toMatchObject({
      exitCode: 0,
    });
    expect(await services.onStock('pause', 'stock', 'order.created')).toMatchObject({ exitCode: 1 });
    expect((await services.onStock('status')).output).toMatch(/paused +stock.order.created +by anna: a bad release/);
    expect(await services.onStock('resume', 'stock', 'order.created')).toMatchObject({ exitCode: 0 });

    expect(await services.onStock('retry', id, '--consumer', 'stock')).toMatchObject({
      exitCode: 0,
      output: expect.stringMatching(/^1 to be tried again/) as string,
    });
    await eventually(async () => expect(await services.stock.inbox()).toMatchObject([{ status: 'handled' }]));
    expect(await services.onStock('retry', id, '--consumer', 'stock')).toMatchObject({ exitCode: 1 });
  });

  it('makes the tables with `migrate`, again without a change, and says that they are missing before', async () => {
    const empty = await createTestDatabase(database);
    const run = (...args: string[]) => runCommand(args, { env: { DATABASE_URL: empty.url }, user: 'anna' });
    try {
      expect(await run('status')).toMatchObject({
        output: '',
        exitCode: 3,
        problem: expect.stringContaining('The tables of nestjs-reliable-mq are missing') as string,
      });
      expect(await run('migrate')).toMatchObject({ problem: '', exitCode: 0 });
      expect(await run('migrate')).toMatchObject({ problem: '', exitCode: 0 });
      expect(await run('status')).toMatchObject({ problem: '', exitCode: 0 });
    } finally {
      await empty.drop();
    }
  });
});
