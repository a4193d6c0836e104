import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, TransactionAbortedError, TransactionalEvent } from 'nestjs-reliable-mq';
import { Client, Connection } from 'pg';
import { DataSource, type DataSourceOptions, Repository } from 'typeorm';
import { eventually } from '../support/eventually';
import { Note, NoteWritten, type Recording, noteWritten, startRecording } from './record-harness';

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten)
  async write(text: string): Promise<NoteWritten> {
    await this.notes.query('INSERT INTO note (text) VALUES ($1)', [text]);
    return noteWritten(text);
  }
}

/** Which statements of a transaction are one message to the server, and that this changes nothing else. */
describe('statements of a transaction', () => {
  let recording: Recording;
  let notes: Notes;
  let sent: string[];
  let parsed: string[];
  const named = new Map<string, string>();
  let sabotage: ((portal: object, text: string) => object) | undefined;

  beforeAll(async () => {
    recording = await startRecording({ providers: [Notes] });
    notes = recording.app.get(Notes);
  });

  beforeEach(async () => {
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
        if (name === 'bind' && sabotage) args[0] = sabotage(args[0] as object, group.at(-1) ?? '');
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
  afterAll(() => recording.close());

  const summaryOf = (sql: unknown): string =>
    (/^\s*(INSERT INTO \S+|(RELEASE |ROLLBACK TO )?SAVEPOINT|\S+)/.exec(String(sql))?.[1] ?? '').replaceAll('"', '');
  const business = (): string[] => sent.filter((text) => !text.startsWith('WITH'));

  it('are two messages: the business statement with the start, and the event with the commit', async () => {
    await notes.write('a');
    expect(business()).toEqual(['START + INSERT INTO note', 'INSERT INTO reliable_mq_outbox + COMMIT']);
    expect(await recording.published()).toEqual(['a']);
  });

  it('keep their order when one follows the recording', async () => {
    await recording.events.transaction(async () => {
      await recording.events.record(noteWritten('a'));
      await recording.events.record(noteWritten('b'));
      const seen = await notes.notes.query(`SELECT payload ->> 'text' AS text FROM reliable_mq_outbox ORDER BY id`);
      expect(seen).toEqual([{ text: 'a' }, { text: 'b' }]);
    });
    expect(sent.filter((text) => text.includes('START'))).toEqual([
      'START + INSERT INTO reliable_mq_outbox + INSERT INTO reliable_mq_outbox + SELECT',
    ]);
    expect(await recording.published()).toEqual(['a', 'b']);
  });

  it.each<[string, (sql: string) => Promise<unknown>]>([
    ['a query', (sql) => notes.notes.query(sql)],
    [
      'the connection itself',
      async (sql) => {
        const client = (await notes.notes.manager.queryRunner?.connect()) as Client;
        return (await client.query(sql)).rows as unknown;
      },
    ],
  ])('are all in the transaction, whichever way the first is sent: %s', async (_way, run) => {
    const seen: unknown[] = [];
    await expect(
      recording.events.transaction(async () => {
        await run(`INSERT INTO note (text) VALUES ('undone')`);
        await recording.events.record(noteWritten('undone'));
        seen.push(await run(`SELECT payload ->> 'text' AS text FROM reliable_mq_outbox`));
        throw new Error('undo');
      }),
    ).rejects.toThrow('undo');
    expect(seen).toEqual([[{ text: 'undone' }]]);
    expect(await recording.notes()).toEqual([]);
    expect(await recording.stored()).toEqual([]);
  });

  it('are none for a transaction that does nothing, whichever way it ends', async () => {
    await recording.events.transaction(() => undefined);
    await expect(recording.events.transaction(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(sent).toEqual([]);
  });

  it('that record are not sent at all when the transaction rolls back before the next', async () => {
    await expect(
      recording.events.transaction(async () => {
        await notes.notes.insert({ text: 'a' });
        await recording.events.record(noteWritten('a'));
        throw new Error('undo');
      }),
    ).rejects.toThrow('undo');
    expect(sent.join()).not.toContain('outbox');
    expect(await recording.stored()).toEqual([]);
    expect(await recording.notes()).toEqual([]);
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

  it('undo the business when the event cannot be inserted, and say so', async () => {
    await recording.app.query(
      `ALTER TABLE reliable_mq_outbox ADD CONSTRAINT no_poison CHECK (payload ->> 'text' <> 'poison')`,
    );
    try {
      await expect(notes.write('poison')).rejects.toThrow(/no_poison/);
      expect(await recording.notes()).toEqual([]);
      await notes.write('fine');
      expect(await recording.published()).toEqual(['fine']);
    } finally {
      await recording.app.query('ALTER TABLE reliable_mq_outbox DROP CONSTRAINT no_poison');
    }
  });

  it.each([
    ['', false],
    [', also when pg has not heard of it yet', true],
  ])('end in an error when an earlier one had failed and that was swallowed%s', async (_when, outOfDate) => {
    if (outOfDate) jest.spyOn(Client.prototype, 'getTransactionStatus').mockReturnValue('T');
    await expect(
      recording.events.transaction(async () => {
        await recording.events.record(noteWritten('a'));
        await notes.notes.query('SELECT 1 / 0').catch(() => undefined);
        await recording.events.record(noteWritten('b')).catch(() => undefined);
      }),
    ).rejects.toThrow(TransactionAbortedError);
    expect(await recording.stored()).toEqual([]);
    expect(await recording.published()).toEqual([]);
  });

  it('that wait for the commit do not outlive a transaction which the application has ended by itself', async () => {
    await expect(
      recording.events.transaction(async () => {
        await notes.notes.insert({ text: 'a' });
        const queryRunner = notes.notes.manager.queryRunner;
        await recording.events.record(noteWritten('a'));
        // Past TypeORM, so that nobody sees it.
        await ((await queryRunner?.connect()) as Client).query('ROLLBACK');
      }),
    ).rejects.toThrow('the transaction was ended by SQL of the application');
    expect(await recording.stored()).toEqual([]);
    expect(await recording.published()).toEqual([]);
  });

  it('of nested transactions travel with the next, and what was rolled back to a savepoint is not there', async () => {
    await recording.events.transaction(async () => {
      const nested = (text: string, isUndone: boolean): Promise<void> =>
        notes.notes.manager
          .transaction(async (manager) => {
            await manager.query('INSERT INTO note (text) VALUES ($1)', [text]);
            await recording.events.record(noteWritten(text), { manager });
            if (isUndone) throw new Error('undo');
          })
          .catch(() => undefined);
      await nested('a', false);
      await nested('b', true);
      await nested('c', false);
      await notes.notes.manager.transaction(() => Promise.resolve());
    });
    expect(business()).toEqual([
      'START + SAVEPOINT + INSERT INTO note',
      'INSERT INTO reliable_mq_outbox + RELEASE SAVEPOINT + SAVEPOINT + INSERT INTO note',
      'ROLLBACK TO SAVEPOINT',
      'SAVEPOINT + INSERT INTO note',
      'INSERT INTO reliable_mq_outbox + RELEASE SAVEPOINT + COMMIT',
    ]);
    expect(await recording.notes()).toEqual(['a', 'c']);
    expect(await recording.stored()).toEqual(['a', 'c']);
    expect(await recording.published()).toEqual(['a', 'c']);
  });

  it('stay when a later nested transaction of the same depth is rolled back before anything was sent', async () => {
    await recording.events.transaction(async () => {
      const nested = (text: string, isUndone: boolean): Promise<void> =>
        notes.notes.manager
          .transaction(async (manager) => {
            await recording.events.record(noteWritten(text), { manager });
            if (isUndone) throw new Error('undo');
          })
          .catch(() => undefined);
      await nested('a', false);
      await nested('b', true);
      await nested('c', false);
    });
    expect(await recording.stored()).toEqual(['a', 'c']);
    expect(await recording.published()).toEqual(['a', 'c']);
  });

  it.each<[string, boolean]>([
    ['rejects', false],
    ['ends', true],
  ])(
    'that nobody awaits are not overtaken when the function %s before they have a connection',
    async (_how, commits) => {
      for (let count = 0; count < 30; count += 1) {
        const outcome = recording.events.transaction(() => {
          const insert = notes.notes.insert({ text: 'a' });
          insert.catch(() => undefined);
          if (!commits) throw new Error('invalid');
        });
        await outcome.catch((error: unknown) => expect(String(error)).toContain('invalid'));
      }
      expect(await recording.notes()).toEqual(commits ? Array<string>(30).fill('a') : []);
      const { master } = notes.notes.manager.dataSource.driver as unknown as {
        master: { totalCount: number; idleCount: number };
      };
      expect(master.idleCount).toBe(master.totalCount);
    },
  );

  it('that are still on their way at the end are waited for', async () => {
    await recording.events.transaction(async () => {
      notes.notes.query('SELECT pg_sleep(0.1)').catch(() => undefined);
      await eventually(() => expect(business()).toEqual(['START + SELECT']));
      await recording.events.record(noteWritten('a'));
    });
    expect(await recording.published()).toEqual(['a']);
  });

  it('that fail between the end and an earlier one that it waits for make it a rollback, and the caller is told', async () => {
    const transaction = recording.events.transaction(async () => {
      await recording.events.record(noteWritten('a'));
      await notes.notes.query('SELECT 1');
      notes.notes.query('SELECT pg_sleep(0.1)').catch(() => undefined);
      await eventually(() => expect(business()).toHaveLength(2));
      // The end has been asked for by then, and waits for the answer.
      setImmediate(() => void notes.notes.query('SELECT 1 / 0').catch(() => undefined));
    });
    await expect(transaction).rejects.toThrow(TransactionAbortedError);
    expect(await recording.published()).toEqual([]);
    expect(await recording.stored()).toEqual([]);
  });

  it('that begin while the end waits are not overtaken by it, also when a subscriber holds them back', async () => {
    const { dataSource } = notes.notes.manager;
    const isLate = 'INSERT INTO late';
    let client: { readonly readyForQuery?: boolean } | undefined;
    const subscriber = {
      // Until the end has asked how the transaction stands, which is an empty statement, and has its answer.
      beforeQuery: async ({ query }: { query: string }) => {
        if (!query.startsWith(isLate)) return;
        await eventually(() => expect(sent).toContain(''));
        await eventually(() => expect(client?.readyForQuery).toBe(true));
      },
    };
    dataSource.subscribers.push(subscriber);
    await dataSource.query('CREATE TABLE IF NOT EXISTS late (text text)');
    try {
      await recording.events.transaction(async () => {
        await notes.notes.query('SELECT 1');
        client = (await notes.notes.manager.queryRunner?.connect()) as typeof client;
        notes.notes.query('SELECT pg_sleep(0.1)').catch(() => undefined);
        await eventually(() => expect(business().filter((text) => text.endsWith('SELECT'))).toHaveLength(2));
        setImmediate(() => void notes.notes.query(`${isLate} VALUES ('a')`).catch(() => undefined));
      });
    } finally {
      dataSource.subscribers.splice(dataSource.subscribers.indexOf(subscriber), 1);
    }
    expect(business().filter((text) => /late|COMMIT/.test(text))).toEqual(['INSERT INTO late', 'COMMIT']);
  });

  it('end in the same error each time when the first of them had failed and that was swallowed', async () => {
    for (let count = 0; count < 100; count += 1)
      await expect(
        recording.events.transaction(async () => {
          await notes.notes.query('SELECT 1 / 0').catch(() => undefined);
        }),
      ).rejects.toThrow(TransactionAbortedError);
  });

  it('are not to blame for a value that pg cannot encode: the transaction goes on', async () => {
    await recording.events.transaction(async () => {
      const failed = notes.notes.query('SELECT $1::json', [{ amount: 1n }]);
      await expect(failed).rejects.toThrow(/BigInt$/);
      await notes.notes.insert({ text: 'a' });
      await recording.events.record(noteWritten('a'));
    });
    expect(await recording.notes()).toEqual(['a']);
    expect(await recording.published()).toEqual(['a']);
  });

  it('do not all wait for the commit when there are very many', async () => {
    await recording.events.transaction(async () => {
      for (let count = 0; count < 250; count += 1) await recording.events.record(noteWritten('a'));
    });
    expect(business().map((text) => text.split(' + ').length)).toEqual([101, 101, 50]);
    expect(await recording.stored()).toHaveLength(250);
  });

  it('of the library are parsed once per connection', async () => {
    for (let count = 0; count < 30; count += 1) await notes.write('a');
    expect(sent.filter((text) => text === 'INSERT INTO reliable_mq_outbox + COMMIT')).toHaveLength(30);
    expect(parsed.filter((text) => text.includes('outbox')).length).toBeLessThanOrEqual(10);
  });

  it('are prepared no longer when somebody makes the server forget them, which costs one transaction', async () => {
    await notes.write('before');
    let failures = 0;
    for (let count = 0; count < 20; count += 1) {
      await recording.app.query('DISCARD ALL');
      await notes.write('after').catch((error: unknown) => {
        failures += 1;
        expect(String(error)).toMatch(/prepared statement .* does not exist/);
      });
    }
    expect(failures).toBe(1);
    expect(await recording.stored()).toEqual(['before', ...Array<string>(19).fill('after')]);
    expect(await recording.notes()).toHaveLength(20);
  });

  it('are logged as they are sent, for those who log queries', async () => {
    const logQuery = jest.spyOn(recording.app.dataSource.logger, 'logQuery');
    await notes.write('a');
    expect(logQuery.mock.calls.map(([text]) => summaryOf(text))).toEqual(
      expect.arrayContaining(['START', 'INSERT INTO note', 'INSERT INTO reliable_mq_outbox', 'COMMIT']),
    );
  });

  it('are committed and published although the logger throws for each that the library sends', async () => {
    const logged: string[] = [];
    const logger = jest.spyOn(recording.app.dataSource.logger, 'logQuery').mockImplementation((text) => {
      const summary = summaryOf(text);
      // What TypeORM itself logs it logs before it sends: there the transaction fails, as without the library.
      if (summary === 'INSERT INTO note') return;
      logged.push(summary);
      throw new Error('the disk is full');
    });
    await notes.write('a');
    logger.mockRestore();
    expect(logged).toEqual(expect.arrayContaining(['START', 'INSERT INTO reliable_mq_outbox', 'COMMIT']));
    expect(await recording.notes()).toEqual(['a']);
    expect(await recording.published()).toEqual(['a']);
  });

  it('are sent by themselves when an object stands in the place of their text, which pg takes and TypeORM’s types do not', async () => {
    await recording.events.transaction(async () => {
      await recording.events.record(noteWritten('a'));
      await notes.notes.query({ text: 'INSERT INTO note (text) VALUES ($1)', values: ['a'] } as unknown as string);
    });
    expect(business()).toEqual(['START', 'INSERT INTO reliable_mq_outbox', 'INSERT INTO note', 'COMMIT']);
    expect(await recording.notes()).toEqual(['a']);
    expect(await recording.published()).toEqual(['a']);
  });

  it('begin after the isolation level is set', async () => {
    const level = await recording.events.transaction(
      () => notes.notes.query(`SELECT current_setting('transaction_isolation') AS level`),
      { isolation: 'SERIALIZABLE' },
    );
    expect(level).toEqual([{ level: 'serializable' }]);
  });

  it('are sent one after the other by clients that cannot group them, such as pg-native', async () => {
    const { Query } = Client as unknown as { Query: unknown };
    Object.assign(Client, { Query: undefined });
    try {
      await notes.write('a');
    } finally {
      Object.assign(Client, { Query });
    }
    expect(business()).toEqual(['START', 'INSERT INTO note', 'INSERT INTO reliable_mq_outbox', 'COMMIT']);
    expect(await recording.published()).toEqual(['a']);
    expect(await recording.notes()).toEqual(['a']);
  });

  it('are sent one after the other in pg’s pipeline mode, where a group would be written before it is known what the last has prepared', async () => {
    const piped = await startRecording({
      providers: [Notes],
      onDataSource: ({ options }) => new DataSource({ ...options, extra: { pipeline: true } } as DataSourceOptions),
    });
    try {
      await piped.app.get(Notes).write('a');
      expect(business()).toEqual(
        expect.arrayContaining(['START', 'INSERT INTO note', 'INSERT INTO reliable_mq_outbox', 'COMMIT']),
      );
      await Promise.all(['b', 'c', 'd'].map((text) => piped.app.get(Notes).write(text)));
      const refused = piped.events.transaction(async () => {
        await piped.app.get(Notes).write('e');
        await piped.app.query('SELECT 1/0');
      });
      await expect(refused).rejects.toThrow('division by zero');
      expect(await piped.notes()).toEqual(['a', 'b', 'c', 'd']);
      expect((await piped.published()).toSorted()).toEqual(['a', 'b', 'c', 'd']);
    } finally {
      await piped.close();
    }
  });

  it('work with versions of pg that do not tell of the transaction: the event is inserted at once', async () => {
    const status = Client.prototype.getTransactionStatus;
    Object.assign(Client.prototype, { getTransactionStatus: undefined });
    try {
      await notes.write('a');
    } finally {
      Object.assign(Client.prototype, { getTransactionStatus: status });
    }
    expect(business()).toEqual(['START + INSERT INTO note', 'INSERT INTO reliable_mq_outbox', 'COMMIT']);
    expect(await recording.published()).toEqual(['a']);
  });

  it('do not run outside a transaction that could not be begun, also when they were sent at the same moment', async () => {
    // A statement that the server does not know fails, as one does that is cancelled.
    sabotage = (portal, text) => (text.startsWith('START') ? { ...portal, statement: 'unknown' } : portal);
    const outcomes: string[] = [];
    const note = (text: string): Promise<void> =>
      notes.notes.query('INSERT INTO note (text) VALUES ($1)', [text]).then(
        () => void outcomes.push('worked'),
        () => void outcomes.push('failed'),
      );
    await expect(
      recording.events.transaction(async () => {
        await Promise.all([note('a'), note('b')]);
        sabotage = undefined;
        await note('c');
      }),
    ).rejects.toThrow();
    expect(outcomes).toEqual(['failed', 'failed', 'failed']);
    expect(await recording.notes()).toEqual([]);
  });
});
