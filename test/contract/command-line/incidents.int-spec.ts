import { Injectable } from '@nestjs/common';
import { EventRecorder, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { eventually } from '../../support/eventually';
import { quick, TestApp } from '../../support/test-app';
import { TestBroker } from '../../support/test-broker';
import { Orders, TwoServices } from './two-services';
import { runCommand } from '../../../libs/reliable-mq/src/operate/cli/run-command';

@ReliableEvent({ type: 'order.shipped' })
class OrderShipped {}

@Injectable()
class Shipments {
  constructor(private readonly events: EventRecorder) {}

  ship(): Promise<string> {
    return this.events.transaction(() => this.events.record(new OrderShipped()));
  }
}

@Injectable()
class Parcels {
  @ReliableEventHandler(OrderShipped)
  handle(_event: OrderShipped): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * A broker that is stopped, and a consumer that is down, are told by `doctor`: see doctor.int-spec.ts.
 *
 * What docs/command-line.md answers for a person on call, each in one step.
 */
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

  it('a binding was removed while its consumer was down: `list --status pending`; the consumer puts it back', async () => {
    const broker = new TestBroker();
    const service = broker.service('parcel', 'order.shipped');
    const startConsumer = (): Promise<TestApp> =>
      TestApp.start({ broker, reliableMq: quick({ service }), providers: [Parcels] });
    const sender = broker.service('order');
    order = await TestApp.start({ broker, reliableMq: quick({ service: sender }), providers: [Shipments] });
    const env = { DATABASE_URL: order.database.url };
    const consumer = await startConsumer();
    const first = await order.get(Shipments).ship();
    await eventually(async () => expect(await order!.outbox({ id: first })).toMatchObject([{ status: 'consumed' }]));
    await consumer.dispose();
    await (await broker.channel()).unbindQueue(`${service}.order.shipped`, broker.exchange, 'order.shipped');

    const id = await order.get(Shipments).ship();
    await eventually(async () => {
      const { output } = await runCommand(['list', '--status', 'pending'], { env, user: 'anna' });
      expect(output).toMatch(new RegExp(`${id} .* no queue is bound for "order.shipped"`));
    });
    const again = await startConsumer();
    await eventually(async () => expect(await order!.outbox({ id })).toMatchObject([{ status: 'consumed' }]));
    await again.dispose();
    await order.dispose();
    order = undefined;
    await broker.dispose();
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
