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
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { cleanQueues, rabbitmqUrl, uniquePrefix } from '../support/rabbitmq';
import { QUICK, type ReliableApp, startReliableApp } from '../support/reliable-app';

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
    await manager.query('INSERT INTO seat VALUES ($1)', [seat]);
    if (attempt < this.failUntil) throw new Error(`attempt ${attempt}: the lights are off`);
  }
}

describe('a handler that throws', () => {
  const prefix = uniquePrefix();
  const [producer, consumer, exchange] = [`${prefix}office`, `${prefix}theatre`, `${prefix}exchange`];
  const databases: TestDatabase[] = [];
  let office: ReliableApp;
  let theatre: ReliableApp;

  async function start(service: string, providers: (typeof BoxOffice | typeof Usher)[]): Promise<ReliableApp> {
    const database = await createTestDatabase();
    databases.push(database);
    const rabbitmq = { uri: rabbitmqUrl(), exchange };
    return startReliableApp({ url: database.url, providers, reliableMq: { ...QUICK, service, rabbitmq } });
  }

  beforeAll(async () => {
    theatre = await start(consumer, [Usher]);
    await theatre.query('CREATE TABLE seat (seat text)');
    office = await start(producer, [BoxOffice]);
  }, 60_000);
  afterAll(async () => {
    await office.close();
    await theatre.close();
    for (const database of databases) await database.drop();
    const queues = [
      `${consumer}.ticket.sold`,
      `${consumer}.parked`,
      `${consumer}.receipts.quorum`,
      `${producer}.receipts.quorum`,
    ];
    await cleanQueues(prefix, { queues, exchanges: [exchange] });
  });

  async function inboxRow(id: string): Promise<Record<string, unknown> | undefined> {
    const [row] = await theatre.query<Record<string, unknown>>('SELECT * FROM reliable_mq_inbox WHERE event_id = $1', [
      id,
    ]);
    return row;
  }

  async function outboxRow(id: string): Promise<Record<string, unknown> | undefined> {
    const [row] = await office.query<Record<string, unknown>>('SELECT * FROM reliable_mq_outbox WHERE id = $1', [id]);
    return row;
  }

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
});
