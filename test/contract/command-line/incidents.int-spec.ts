import { eventually } from '../../support/eventually';
import { quick, TestApp } from '../../support/test-app';
import { Orders, TwoServices } from './two-services';
import { runCommand } from '../../../libs/reliable-mq/src/operate/cli/run-command';

/** What docs/command-line.md answers for a person on call, each in one step. */
describe('an incident is named by one command', () => {
  let services: TwoServices | undefined;
  let order: TestApp | undefined;

  afterEach(async () => {
    await services?.dispose();
    await order?.dispose();
    services = order = undefined;
  });

  const dead = async (two: TwoServices): Promise<string> => {
    two.handler.onDeduct = () => {
      throw new Error('no stock for order 7');
    };
    const id = await two.place('order-7');
    await eventually(async () =>
      expect((await two.order.outbox({ id }))[0]).toMatchObject({ status: 'dead', due_at: null }),
    );
    return id;
  };

  it('a handler throws: `groups --inbox`', async () => {
    services = await TwoServices.start('postgres');
    await dead(services);
    expect((await services.onStock('groups', '--inbox')).output).toMatch(
      /[0-9a-f]{12} +1 .*order\.created.*Error: no stock for order <n>/,
    );
  });

  it('an event is dead: `find`', async () => {
    services = await TwoServices.start('postgres');
    const id = await dead(services);
    const { output } = await services.run('find', 'order-7');
    expect(output).toContain(`event ${id}  order.created  DEAD  (key order-7`);
    expect(output).toMatch(/reason +stock dead: given up after 2 attempts: Error: no stock for order 7/);
  });

  it('nothing is bound, or the binding was removed: `list --overdue`, or `list --status pending`', async () => {
    order = await TestApp.start({ reliableMq: quick({ service: 'order' }), providers: [Orders] });
    const id = await order.get(Orders).place('order-7');
    const env = { DATABASE_URL: order.database.url };
    await eventually(async () => {
      const { output } = await runCommand(['list', '--status', 'pending'], { env, user: 'anna' });
      expect(output).toMatch(new RegExp(`${id} .* no queue is bound for "order.created"`));
    });
  });

  it("the consumer's database refuses: `doctor` there", async () => {
    services = await TwoServices.start('postgres');
    const { name, url } = services.stock.database;
    const role = `${name}_reader`;
    await services.stock.query(`CREATE ROLE "${role}" LOGIN`);
    try {
      await services.stock.query(`GRANT SELECT ON ALL TABLES IN SCHEMA public TO "${role}"`);
      const limited = new URL(url);
      limited.username = role;
      const { output, exitCode } = await services.run('doctor', '--database', limited.href);
      expect(exitCode).toBe(1);
      expect(output).toMatch(
        /CHANGE +tables +Role ".*" may not INSERT, UPDATE, DELETE on .*reliable_mq_inbox"?: GRANT/,
      );
      // Looking is allowed.
      expect(await services.run('status', '--database', limited.href)).toMatchObject({ exitCode: 0, problem: '' });
    } finally {
      await services.stock.query(`DROP OWNED BY "${role}"`);
      await services.stock.query(`DROP ROLE "${role}"`);
    }
  });
});
