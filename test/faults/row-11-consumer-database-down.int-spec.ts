import { randomUUID } from 'node:crypto';
import { Injectable, Logger, type LoggerService } from '@nestjs/common';
import type { Channel } from 'amqplib';
import { IsString } from 'class-validator';
import { type EventContext, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { Column, Entity, In, PrimaryGeneratedColumn } from 'typeorm';
import type { MariadbServer } from '../../tools/servers/mariadb';
import type { PostgresServer } from '../../tools/servers/postgres';
import { createTestDatabase, type InboxRow, type TestDatabase } from '../support/database';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { usePrivateServers } from '../support/private-servers';
import { QUICK, TestApp } from '../support/test-app';
import { TestBroker } from '../support/test-broker';

@Entity()
class Reading {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('varchar') eventId!: string;
  @Column('varchar') text!: string;
}

@ReliableEvent({ type: 'meter.read' })
class MeterRead {
  @IsString() text!: string;
}

@Injectable()
class MeterHandler {
  readonly attempts: string[] = [];
  pause: Promise<void> | undefined;

  @ReliableEventHandler(MeterRead)
  async handle({ text }: MeterRead, { manager, eventId }: EventContext): Promise<void> {
    this.attempts.push(eventId);
    await manager.insert(Reading, { eventId, text });
    if (text === 'in progress') await this.pause;
    await manager.query('SELECT 1');
  }
}

/** Keeps what the library says; Nest itself logs each error of a handler. */
class KeepingLogger implements LoggerService {
  readonly lines: string[] = [];
  log = (): void => undefined;
  warn = (...parts: unknown[]): void => this.keep(parts);
  error = (...parts: unknown[]): void => this.keep(parts);

  private keep(parts: unknown[]): void {
    const [message] = parts;
    if (parts.at(-1) === 'ReliableMq' && typeof message === 'string') this.lines.push(message.split(' {')[0] as string);
  }
}

const servers = usePrivateServers();

describeEachDatabase("a consumer's database that goes down", (kind) => {
  const rabbitmq = new TestBroker();
  const service = rabbitmq.service('meters', 'meter.read');
  const logger = new KeepingLogger();
  let server: PostgresServer | MariadbServer;
  let database: TestDatabase;
  let app: TestApp;
  let channel: Channel;
  let acknowledged = 0;
  let received = 0;
  let failedJobs = 0;

  beforeAll(async () => {
    server = await servers[kind]();
    database = await createTestDatabase(server.url());
    app = await TestApp.start({
      database,
      broker: rabbitmq,
      entities: [Reading],
      providers: [MeterHandler],
      reliableMq: {
        ...QUICK,
        service,
        hooks: {
          acknowledged: () => (acknowledged += 1),
          received: () => (received += 1),
          jobFinished: ({ job, error }) => (failedJobs += job === 'retry' && error ? 1 : 0),
        },
      },
    });
    Logger.overrideLogger(logger);
    channel = await rabbitmq.channel();
  }, 120_000);
  afterAll(async () => {
    Logger.overrideLogger(false);
    await server.start();
    await app.close();
    await database.drop();
    await rabbitmq.dispose();
  }, 60_000);

  afterEach(() => server.start(), 60_000);

  function publish(text: string): string {
    const messageId = randomUUID();
    channel.publish(rabbitmq.exchange, 'meter.read', Buffer.from(JSON.stringify({ text })), {
      messageId,
      type: 'meter.read',
    });
    return messageId;
  }

  async function inboxOf(ids: readonly string[]): Promise<InboxRow[]> {
    return (await app.inbox()).filter(({ event_id }) => ids.includes(event_id));
  }

  async function handled(ids: readonly string[]): Promise<void> {
    await eventually(
      async () => {
        const rows = (await inboxOf(ids)).filter(({ status }) => status === 'handled');
        expect(rows).toHaveLength(ids.length);
      },
      { deadlineMs: 30_000 },
    );
  }

  it.each([
    ['is stopped', () => server.stop()],
    ['loses its power', () => server.kill()],
  ])(
    'delays what was delivered, and costs no attempt, when it %s',
    async (_, takeDown) => {
      const handler = app.get(MeterHandler);
      await handled([publish('before')]);
      let goOn: () => void = () => undefined;
      handler.pause = new Promise((resolve) => (goOn = resolve));
      const inProgress = publish('in progress');
      await eventually(() => expect(handler.attempts).toContain(inProgress));

      // It may be told while the server is still going down.
      const linesBefore = logger.lines.length;
      await takeDown();
      goOn();
      const attemptsBefore = handler.attempts.length;
      const [acknowledgedBefore, receivedBefore] = [acknowledged, received];
      const ids = Array.from({ length: 30 }, (__, index) => publish(`during ${index}`));
      // The compensation task serves as the clock: it has tried and failed that often meanwhile.
      const failuresSoFar = failedJobs;
      await eventually(() => expect(failedJobs - failuresSoFar).toBeGreaterThan(15));

      expect(acknowledged).toBe(acknowledgedBefore);
      expect(handler.attempts).toHaveLength(attemptsBefore);
      // The prefetch, the one in progress among them, is all that was taken.
      expect(received - receivedBefore).toBeLessThanOrEqual(10);
      const lines = logger.lines
        .slice(linesBefore)
        .filter((line) => !line.startsWith('A job of the compensation task'));
      expect(lines).toEqual(['The database is not available; work waits for it']);

      await server.start();
      await handled([inProgress, ...ids]);
      const rows = await inboxOf([inProgress, ...ids]);
      expect(rows.map(({ attempts, history }) => ({ attempts, history }))).toEqual(
        [inProgress, ...ids].map(() => ({ attempts: 1, history: [] })),
      );
      const effects = await app.repository(Reading).findBy({ eventId: In([inProgress, ...ids]) });
      expect(effects).toHaveLength(31);
      await eventually(async () => expect(await rabbitmq.waiting(`${service}.meter.read`)).toBe(0));
      await eventually(() => expect(acknowledged - acknowledgedBefore).toBe(31));
    },
    90_000,
  );

  it('handles each once, under load, when it loses its power in the midst of it', async () => {
    const handler = app.get(MeterHandler);
    const begun = handler.attempts.length;
    const ids = Array.from({ length: 300 }, (_, index) => publish(`load ${index}`));
    await eventually(() => expect(handler.attempts.length - begun).toBeGreaterThan(50));
    await server.kill();
    await server.start();
    await handled(ids);
    const effects = await app.repository(Reading).findBy({ eventId: In(ids) });
    expect(effects.map(({ eventId }) => eventId).toSorted()).toEqual(ids.toSorted());
    await eventually(async () => expect(await rabbitmq.waiting(`${service}.meter.read`)).toBe(0));
  }, 90_000);
});
