import { Injectable } from '@nestjs/common';
import { IsString } from 'class-validator';
import {
  Compensate,
  type EventContext,
  type EventFailure,
  EventRecorder,
  ReliableEvent,
  ReliableEventHandler,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { InboxRow, OutboxRow } from '../support/database';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';
import { TestBroker } from '../support/test-broker';

@Entity()
class Seat {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('varchar') seat!: string;
}

@ReliableEvent({ type: 'ticket.sold' })
class TicketSold {
  @IsString() seat!: string;
}

@Injectable()
class BoxOffice {
  readonly compensated: { event: TicketSold; failure: EventFailure }[] = [];

  constructor(readonly events: EventRecorder) {}

  sell(seat: string): Promise<string> {
    return this.events.transaction(() => this.events.record(Object.assign(new TicketSold(), { seat })));
  }

  @Compensate(TicketSold)
  giveBack(event: TicketSold, failure: EventFailure): Promise<void> {
    this.compensated.push({ event, failure });
    return Promise.resolve();
  }
}

@Injectable()
class Usher {
  failUntil = 0;

  @ReliableEventHandler(TicketSold, { maxAttempts: 4 })
  async seat({ seat }: TicketSold, { attempt, manager }: EventContext): Promise<void> {
    await manager.insert(Seat, { seat });
    if (attempt < this.failUntil) throw new Error(`attempt ${attempt}: the lights are off`);
  }
}

describeEachDatabase(
  'a handler that throws',
  (database) => {
    const rabbitmq = new TestBroker();
    const producer = rabbitmq.service('office');
    const consumer = rabbitmq.service('theatre', 'ticket.sold');
    let office: TestApp;
    let theatre: TestApp;

    const start = (service: string, provider: typeof BoxOffice | typeof Usher): Promise<TestApp> =>
      TestApp.start({
        database,
        broker: rabbitmq,
        entities: [Seat],
        providers: [provider],
        reliableMq: { ...QUICK, service },
      });

    beforeAll(async () => {
      theatre = await start(consumer, Usher);
      office = await start(producer, BoxOffice);
    }, 60_000);
    afterAll(async () => {
      await office.dispose();
      await theatre.dispose();
      await rabbitmq.dispose();
    });

    const inboxRow = async (id: string): Promise<InboxRow | undefined> => (await theatre.inbox({ id }))[0];
    const outboxRow = async (id: string): Promise<OutboxRow | undefined> => (await office.outbox({ id }))[0];

    it('leaves a row with history and a due time, is tried again, and the event ends consumed', async () => {
      theatre.get(Usher).failUntil = 3;
      const id = await office.get(BoxOffice).sell('A1');
      await eventually(async () => {
        expect(await outboxRow(id)).toMatchObject({
          status: 'consumed',
          outcomes: { [consumer]: { outcome: 'handled' } },
        });
      });
      expect(await inboxRow(id)).toMatchObject({
        status: 'handled',
        attempts: 3,
        due_at: null,
        history: [
          { attempt: 1, reason: 'Error: attempt 1: the lights are off' },
          { attempt: 2, reason: 'Error: attempt 2: the lights are off' },
        ],
      });
      await expect(theatre.query(`SELECT seat FROM seat WHERE seat = 'A1'`)).resolves.toHaveLength(1);
      expect(office.get(BoxOffice).compensated).toEqual([]);
    });

    it('ends dead at last; the producer is told, and compensates once', async () => {
      theatre.get(Usher).failUntil = 100;
      const id = await office.get(BoxOffice).sell('B2');
      await eventually(async () => {
        expect(await outboxRow(id)).toMatchObject({
          status: 'dead',
          due_at: null,
          compensated_at: expect.any(Date) as Date,
          outcomes: { [consumer]: { outcome: 'dead' } },
        });
      });
      const reason = 'given up after 4 attempts: Error: attempt 4: the lights are off';
      expect(await inboxRow(id)).toMatchObject({ status: 'dead', attempts: 4, due_at: null, reason });
      await expect(theatre.query(`SELECT seat FROM seat WHERE seat = 'B2'`)).resolves.toEqual([]);
      expect(office.get(BoxOffice).compensated).toMatchObject([
        { event: { seat: 'B2' }, failure: { eventId: id, outcomes: [{ consumer, outcome: 'dead', reason }] } },
      ]);
    });
  },
  'on demand',
);
