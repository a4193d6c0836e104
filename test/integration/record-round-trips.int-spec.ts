import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, TransactionalEvent } from 'nestjs-reliable-mq';
import { Connection } from 'pg';
import { DataSource, type DataSourceOptions, QueryFailedError, Repository } from 'typeorm';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';
import { eventually } from '../support/eventually';

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly events: EventRecorder,
    readonly dataSource: DataSource,
  ) {}

  @TransactionalEvent(NoteWritten)
  async write(text: string): Promise<NoteWritten> {
    await this.insert(text);
    return noteWritten(text);
  }

  @TransactionalEvent(NoteWritten, (texts: readonly string[]) => texts.map(noteWritten))
  announce(texts: readonly string[]): Promise<readonly string[]> {
    return Promise.resolve(texts);
  }

  /** What `write` does, without an event and without this library. */
  writeOnly(text: string): Promise<void> {
    return this.dataSource.transaction(async (manager) => {
      await manager.query('INSERT INTO note (text) VALUES ($1)', [text]);
    });
  }

  async insert(text: string): Promise<void> {
    await this.notes.query('INSERT INTO note (text) VALUES ($1)', [text]);
  }
}

const PENDING = "SELECT count(*)::int AS pending FROM reliable_mq_outbox WHERE status = 'pending'";

/** What an event adds to a transaction: one statement, for which the server is asked once more. */
describe('statements of a transaction, on PostgreSQL', () => {
  let recording: Recording;
  let notes: Notes;
  let sent: string[];
  let parsed: string[];
  const named = new Map<string, string>();

  beforeAll(async () => {
    recording = await Recording.start({ providers: [Notes] });
    notes = recording.app.get(Notes);
  });

  beforeEach(async () => {
    // A row that is gone when it is settled would have the tables looked at, by statements of its own.
    await eventually(async () => {
      const [left] = await recording.app.query<{ pending: number }>(PENDING);
      return left?.pending === 0;
    });
    await recording.reset();
    sent = [];
    parsed = [];
    // What pg sends to the server: what stands before one Sync, or in one simple query, is one round trip.
    const group: string[] = [];
    let unnamed = '';
    const watch = (name: 'parse' | 'bind' | 'query' | 'sync', note: (argument: unknown) => void): void => {
      const original = Connection.prototype[name] as (...args: unknown[]) => unknown;
      jest.spyOn(Connection.prototype, name).mockImplementation(function (this: Connection, ...args: unknown[]) {
        note(args[0]);
        return original.apply(this, args) as never;
      });
    };
    watch('parse', (statement) => {
      const { name, text } = statement as { name?: string; text: string };
      parsed.push(summaryOf(text));
      if (name) named.set(name, text);
      else unnamed = text;
    });
    watch('bind', (portal) => {
      const { statement } = portal as { statement?: string };
      group.push((statement && named.get(statement)) || unnamed);
    });
    watch('sync', () => sent.push(group.splice(0).map(summaryOf).join(' + ')));
    watch('query', (text) => sent.push(summaryOf(text)));
  });

  afterEach(() => jest.restoreAllMocks());
  afterAll(() => recording.dispose());

  const summaryOf = (sql: unknown): string =>
    (/^\s*(INSERT INTO \S+|(RELEASE |ROLLBACK TO )?SAVEPOINT|\S+)/.exec(String(sql))?.[1] ?? '')
      .replaceAll('"', '')
      .replace('public.', '');
  /** Without those of the publisher, which settles what it has published. */
  const business = (): string[] => sent.filter((text) => !text.startsWith('WITH'));

  it('are one more than those of the same method without an event', async () => {
    await notes.writeOnly('a');
    const without = business();
    expect(without).toEqual(['START', 'INSERT INTO note', 'COMMIT']);
    sent.length = 0;
    await notes.write('b');
    expect(business()).toEqual(['START', 'INSERT INTO note', 'INSERT INTO reliable_mq_outbox', 'COMMIT']);
    expect(await recording.published()).toEqual(['b']);
  });

  it('are one more for several events of one method', async () => {
    await notes.announce(['a', 'b', 'c']);
    expect(business()).toEqual(['START', 'INSERT INTO reliable_mq_outbox', 'COMMIT']);
    expect(await recording.published()).toEqual(['a', 'b', 'c']);
  });

  it('are parsed once per connection when they are the library’s', async () => {
    for (let count = 0; count < 30; count += 1) await notes.write('a');
    expect(sent.filter((text) => text === 'INSERT INTO reliable_mq_outbox')).toHaveLength(30);
    expect(parsed.filter((text) => text.includes('outbox')).length).toBeLessThanOrEqual(10);
  });

  it('are prepared no longer when somebody makes the server forget them, which costs one transaction', async () => {
    const forgetful = await Recording.start({ providers: [Notes] });
    try {
      const writer = forgetful.app.get(Notes);
      await writer.write('before');
      let failures = 0;
      for (let count = 0; count < 20; count += 1) {
        await forgetful.app.dataSource.query('DISCARD ALL');
        await writer.write('after').catch((error: unknown) => {
          failures += 1;
          expect(error).toBeInstanceOf(QueryFailedError);
          expect(String(error)).toMatch(/prepared statement .* does not exist/);
        });
      }
      expect(failures).toBe(1);
      expect(await forgetful.stored()).toEqual(['before', ...Array<string>(19).fill('after')]);
      expect(await forgetful.notes()).toHaveLength(20);
    } finally {
      await forgetful.dispose();
    }
  });

  it.each([
    `quote ' and ';--`,
    'back\\slash',
    `\\'; DROP TABLE note; --`,
    '"double"',
    'line\nbreak',
    '多字节 😀',
    '$1 %s',
  ])('hold any text: %j', async (text) => {
    await notes.write(text);
    expect(await recording.stored()).toEqual([text]);
    expect(await recording.notes()).toEqual([text]);
  });

  it('undo the business when the event cannot be inserted, and the recording says so as a failed query', async () => {
    const { logger } = recording.app.dataSource;
    const logQueryError = jest.spyOn(logger, 'logQueryError').mockImplementation(() => undefined);
    await recording.app.query(
      `ALTER TABLE reliable_mq_outbox ADD CONSTRAINT no_poison CHECK (payload ->> 'text' <> 'poison')`,
    );
    try {
      const failure = await recording.events
        .transaction(async () => {
          await notes.insert('poison');
          await recording.events.record(noteWritten('poison'));
        })
        .catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(QueryFailedError);
      expect(failure).toMatchObject({ code: '23514', query: expect.stringContaining('reliable_mq_outbox') });
      expect(logQueryError).toHaveBeenCalledTimes(1);
      expect(await recording.notes()).toEqual([]);
      await notes.write('fine');
      expect(await recording.published()).toEqual(['fine']);
    } finally {
      await recording.app.query('ALTER TABLE reliable_mq_outbox DROP CONSTRAINT no_poison');
    }
  });

  it('are logged as they are sent, for those who log queries', async () => {
    const logQuery = jest.spyOn(recording.app.dataSource.logger, 'logQuery');
    await notes.write('a');
    const logged = logQuery.mock.calls.map(([text]) => summaryOf(text)).filter((text) => text !== 'WITH');
    expect(logged).toEqual(['START', 'INSERT INTO note', 'INSERT INTO reliable_mq_outbox', 'COMMIT']);
  });

  it('are the same in pg’s pipeline mode, where one is sent before those ahead of it are answered', async () => {
    const piped = await Recording.start({
      providers: [Notes],
      onDataSource: ({ options }) => new DataSource({ ...options, extra: { pipeline: true } } as DataSourceOptions),
    });
    try {
      await Promise.all(['a', 'b', 'c', 'd'].map((text) => piped.app.get(Notes).write(text)));
      const refused = piped.events.transaction(async () => {
        await piped.app.get(Notes).write('e');
        await piped.app.dataSource.query('SELECT 1/0');
      });
      await expect(refused).rejects.toThrow('division by zero');
      expect(await piped.notes()).toEqual(['a', 'b', 'c', 'd']);
      expect((await piped.published()).toSorted()).toEqual(['a', 'b', 'c', 'd']);
    } finally {
      await piped.dispose();
    }
  });
});
