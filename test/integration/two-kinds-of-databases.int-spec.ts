import { Injectable } from '@nestjs/common';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { IsString } from 'class-validator';
import {
  Compensate,
  EventOperations,
  ReliableEvent,
  ReliableEventHandler,
  RejectEvent,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryColumn, Repository } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { quick, TestApp } from '../support/test-app';

const SERVICE = 'books';

/** The same table in both databases. */
@Entity()
class Entry {
  @PrimaryColumn('varchar', { length: 40 }) text!: string;
  @Column('varchar', { length: 20 }) state!: string;
}

@ReliableEvent({ type: 'entry.made', consumers: [SERVICE] })
class EntryMade {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'entry.copied', consumers: [SERVICE] })
class EntryCopied {
  @IsString() text!: string;
}

const REFUSED = 'refused';

/** Entries are made on PostgreSQL, copied to MariaDB, and what has been copied is marked on PostgreSQL. */
@Injectable()
class Books {
  constructor(
    @InjectRepository(Entry) private readonly journal: Repository<Entry>,
    @InjectRepository(Entry, 'ledger') private readonly ledger: Repository<Entry>,
  ) {}

  @TransactionalEvent(EntryMade, ({ text }: Entry) => ({ text }))
  async make(text: string): Promise<Entry> {
    const entry = { text, state: 'made' };
    await this.journal.insert(entry);
    return entry;
  }

  @ReliableEventHandler(EntryMade, { dataSource: 'ledger' })
  @TransactionalEvent(EntryCopied, (_: void, { text }: EntryMade) => ({ text }), { dataSource: 'ledger' })
  async copy({ text }: EntryMade): Promise<void> {
    if (text === REFUSED) throw new RejectEvent('not in this ledger');
    await this.ledger.insert({ text, state: 'copied' });
  }

  @ReliableEventHandler(EntryCopied)
  async mark({ text }: EntryCopied): Promise<void> {
    await this.journal.update({ text }, { state: 'marked' });
  }

  @Compensate(EntryMade)
  async strike({ text }: EntryMade): Promise<void> {
    await this.journal.update({ text }, { state: 'struck' });
  }

  stateOf(text: string): Promise<Entry | null> {
    return this.journal.findOneBy({ text });
  }
}

describe('one application with a PostgreSQL and a MariaDB', () => {
  let ledger: TestDatabase;
  let app: TestApp;
  let books: Books;

  beforeAll(async () => {
    ledger = await createTestDatabase('mariadb');
    app = await TestApp.start({
      entities: [Entry],
      providers: [Books],
      more: { ledger },
      imports: [TypeOrmModule.forFeature([Entry], 'ledger')],
      reliableMq: { service: SERVICE, dataSources: ['default', 'ledger'], ...quick() },
    });
    books = app.get(Books);
  });
  afterAll(async () => {
    await app.dispose();
    await ledger.drop();
  });

  const become = (text: string, state: string): Promise<unknown> =>
    eventually(async () => expect(await books.stateOf(text)).toMatchObject({ state }));

  it('records, handles and confirms in each what belongs to it', async () => {
    await books.make('rent');
    await become('rent', 'marked');
    await eventually(async () => {
      expect(await app.outbox()).toMatchObject([{ type: 'entry.made', status: 'consumed' }]);
      expect(await ledger.outbox()).toMatchObject([{ type: 'entry.copied', status: 'consumed' }]);
    });
    const [made] = await app.outbox();
    const [copied] = await ledger.outbox();
    expect(copied).toMatchObject({ causation_id: made?.id });
    expect(await ledger.inbox()).toMatchObject([{ event_id: made?.id, type: 'entry.made', status: 'handled' }]);
    expect(await app.inbox()).toMatchObject([{ event_id: copied?.id, type: 'entry.copied', status: 'handled' }]);
  });

  it('compensates in the one what the other has refused', async () => {
    await books.make(REFUSED);
    await become(REFUSED, 'struck');
    const rejected = (await ledger.inbox()).filter(({ status }) => status === 'rejected');
    expect(rejected).toMatchObject([
      { type: 'entry.made', reason: expect.stringContaining('not in this ledger') as string },
    ]);
  });

  it('publishes from both what was recorded while the broker was away, and counts both', async () => {
    app.broker.goOffline();
    await books.make('heating');
    const waiting = await app.get(EventOperations).statistics();
    expect(waiting.outbox.pending).toBe(1);
    app.broker.goOnline();
    await become('heating', 'marked');
    await expect(ledger.query('SELECT count(*) AS count FROM reliable_mq_outbox')).resolves.toEqual([{ count: 2 }]);
  });
});
