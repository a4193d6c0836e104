import { Injectable } from '@nestjs/common';
import {
  Compensate,
  type EventContext,
  EventOperations,
  EventRecorder,
  ReliableEventHandler,
} from 'nestjs-reliable-mq';
import { Column, Entity, EntityManager, PrimaryGeneratedColumn } from 'typeorm';
import { runCommand } from '../../../libs/reliable-mq/src/operate/cli/run-command';
import type { DatabaseName } from '../../support/database';
import { deferred } from '../../support/deferred';
import { eventually } from '../../support/eventually';
import { quick, TestApp } from '../../support/test-app';
import { TestBroker } from '../../support/test-broker';
import { OrderCreated, TwoServices } from './two-services';

const DATABASES: readonly DatabaseName[] = ['postgres', 'mariadb'];

@Entity('letter')
class Letter {
  @PrimaryGeneratedColumn() id!: number;
  @Column('varchar', { length: 50 }) orderId!: string;
}

/** A consumer that comes later, and wants what was before. */
@Injectable()
class Mail {
  onWrite: (orderId: string) => unknown = () => undefined;

  constructor(private readonly manager: EntityManager) {}

  @ReliableEventHandler(OrderCreated)
  async write({ orderId }: OrderCreated, _context: EventContext): Promise<void> {
    await this.onWrite(orderId);
    await this.manager.insert(Letter, { orderId });
  }
}

@Injectable()
class Undone {
  readonly orders: string[] = [];

  constructor(readonly events: EventRecorder) {}

  @Compensate(OrderCreated)
  cancel({ orderId }: OrderCreated): Promise<void> {
    this.orders.push(orderId);
    return Promise.resolve();
  }
}

describe.each(DATABASES)('backfill on %s', (database) => {
  let services: TwoServices;
  let mail: TestApp | undefined;
  let stockCalls: string[];

  beforeEach(async () => {
    services = await TwoServices.start(database, [Undone]);
    stockCalls = [];
    services.handler.onDeduct = (orderId) => stockCalls.push(orderId);
  });
  afterEach(async () => {
    await mail?.dispose();
    mail = undefined;
    await services.dispose();
  });

  async function startMail(): Promise<Mail> {
    mail = await TestApp.start({
      database,
      broker: services.order.broker,
      reliableMq: quick({ service: 'mail', consume: { maxAttempts: 2 } }),
      entities: [Letter],
      providers: [Mail],
    });
    return mail.get(Mail);
  }

  const backfill = (...more: readonly string[]) =>
    services.run('backfill', '--consumer', 'mail', '--type', 'order.created', '--since', '1h', ...more);
  const statuses = async (): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { status } of await services.order.outbox()) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  };
  const letters = async (): Promise<string[]> =>
    (await mail!.query<{ orderId: string }>('SELECT "orderId" FROM letter')).map(({ orderId }) => orderId).sort();
  const deductions = async (): Promise<string[]> =>
    (await services.stock.query<{ orderId: string }>('SELECT "orderId" FROM deduction'))
      .map(({ orderId }) => orderId)
      .sort();

  async function placed(count: number, prefix = 'order'): Promise<string[]> {
    const orders = Array.from({ length: count }, (_, index) => `${prefix} ${String(index + 1).padStart(3, '0')}`);
    for (const order of orders) await services.place(order);
    const before = (await services.order.outbox()).length;
    await eventually(async () => expect(await statuses()).toEqual({ consumed: before }));
    return orders;
  }

  it('gives a consumer that is new the whole history once, beside what comes, and the others nothing again', async () => {
    const past = await placed(30);
    await startMail();
    const live = await placed(3, 'live');
    await eventually(async () => expect(await letters()).toEqual(live));
    // All have ended, and some were handled by it already, of which its receipts may be under way.
    await eventually(async () =>
      expect((await services.order.outbox()).filter(({ outcomes }) => outcomes['mail']).length).toBe(live.length),
    );

    const dry = await backfill('--dry-run');
    expect(dry).toMatchObject({ exitCode: 0, problem: '' });
    expect(dry.output).toMatch(/^30 would be sent to mail:\n/);
    expect(dry.output).toContain('3 are left alone: mail is among their consumers, or has reported.\n');
    expect(dry.output).toContain('Not checked: whether queue mail.order.created exists.');
    expect((await services.run('audit')).output).toBe('Nobody has changed anything.\n');
    expect(await letters()).toEqual(live);

    const done = await backfill('--rate', '500', '--why', 'mails for all');
    expect(done.output).toMatch(/^30 sent to mail \(run /);
    await eventually(async () => expect(await letters()).toEqual([...live, ...past]));
    await eventually(async () => expect(await statuses()).toEqual({ consumed: 33 }));
    expect(await services.json('audit')).toMatchObject([
      {
        operation: 'backfill',
        by: 'anna',
        why: 'mails for all',
        count: 30,
        filter: { consumer: 'mail', type: 'order.created' },
      },
    ]);

    // Whoever asks again sends nothing.
    expect((await backfill()).output).toMatch(/^0 sent to mail\.\n33 are left alone/);
    expect(await letters()).toEqual([...live, ...past]);
    expect(stockCalls.sort()).toEqual([...live, ...past]);
    expect(await deductions()).toEqual([...live, ...past]);
  });

  it('undoes nothing when the new consumer gives an event up: it needs a person, who sends it again', async () => {
    const [order] = await placed(1);
    const handler = await startMail();
    handler.onWrite = () => {
      throw new Error('no address');
    };
    await backfill();
    await eventually(async () =>
      expect(await services.order.outbox()).toMatchObject([{ status: 'dead', due_at: null, compensated_at: null }]),
    );
    expect((await services.run('status')).output).toMatch(/dead +1 +1 needs a person/);
    expect((await services.run('find', order!)).output).toMatch(/mail +dead .*no address/);
    expect(services.order.get(Undone).orders).toEqual([]);

    handler.onWrite = () => undefined;
    expect(await services.run('redrive', '--all')).toMatchObject({ exitCode: 0 });
    await eventually(async () => expect(await statuses()).toEqual({ consumed: 1 }));
    expect(await letters()).toEqual([order]);
    expect(stockCalls).toEqual([order]);

    // What its first consumers give up is undone, as before.
    services.handler.onDeduct = () => {
      throw new Error('no stock');
    };
    await services.place('order 2');
    await eventually(() => expect(services.order.get(Undone).orders).toEqual(['order 2']));
  });

  it('says from when the outbox still has events, and leaves alone what has not ended', async () => {
    await placed(2);
    const released = deferred();
    services.handler.onDeduct = () => released.promise;
    await services.place('slow');
    await eventually(async () => expect(await statuses()).toEqual({ consumed: 2, published: 1 }));
    const told = JSON.parse((await backfill('--dry-run', '--json')).output) as Record<string, unknown>;
    const [first] = await services.order.outbox();
    expect(told).toMatchObject({ matched: 2, left: { unfinished: 1, dead: 0, known: 0 } });
    expect(told['oldest']).toBe(first!.created_at.toISOString());
    const { output } = await backfill('--dry-run');
    expect(output).toMatch(
      /The outbox has order\.created from \S+ on: what was before is pruned, and cannot be sent\./,
    );
    expect(output).toContain('1 has not ended yet: run it again when they have.');
    expect(
      (await services.run('backfill', '--consumer', 'mail', '--type', 'order.lost', '--since', '1h')).output,
    ).toContain('The outbox has no order.lost.\n');
    released.resolve();
  });

  it('sends nothing to a queue that does not exist, where the broker can be asked', async () => {
    await placed(1);
    const broker = new TestBroker();
    const nobody = ['--consumer', broker.service('nobody'), '--broker', broker.urls[0]!];
    const { output, exitCode } = await services.run('backfill', ...nobody, '--type', 'order.created', '--since', '1h');
    expect(exitCode).toBe(1);
    expect(output).toMatch(/^Queue \S*nobody.order.created does not exist: start the consumer first/);
    expect(await statuses()).toEqual({ consumed: 1 });
    await broker.dispose();
  });

  it('goes on where it was stopped', async () => {
    const past = await placed(9);
    await startMail();
    const stop = new AbortController();
    const people = services.order.get(EventOperations).on();
    const selection = { consumer: 'mail', type: 'order.created', since: new Date(0) };
    const running = people.backfill(selection, { by: 'anna', perSecond: 2, signal: stop.signal });
    await eventually(async () => expect((await people.audit()).length).toBeGreaterThan(0));
    stop.abort();
    const { done } = await running;
    expect(done).toBeLessThan(9);
    expect(await people.backfill(selection, { by: 'anna' })).toMatchObject({ done: 9 - done });
    await eventually(async () => expect(await letters()).toEqual(past));
  });

  it('refuses what cannot be meant', async () => {
    for (const [args, problem] of [
      [['--consumer', 'mail'], '--consumer NAME, --type TYPE and --since TIME are needed'],
      [
        ['--consumer', 'my mail', '--type', 'order.created', '--since', '3d'],
        'consumer must be the name of a consumer',
      ],
      [['--consumer', 'mail', '--type', 'order.created', '--since', 'soon'], '--since cannot be "soon"'],
    ] as const) {
      const result = await runCommand(['backfill', ...args], { env: {}, user: 'anna' });
      expect(result).toMatchObject({ exitCode: 2, problem: expect.stringContaining(problem) as string });
    }
  });
});
