import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Type } from 'class-transformer';
import { IsDate, IsInt, IsOptional, IsString, IsUUID, Min, ValidateNested } from 'class-validator';
import {
  EventRecorder,
  type InvalidEventError,
  NoTransactionError,
  type EventHeaders,
  NotAnEventError,
  PayloadTooLargeError,
  ReliableEvent,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import { eventually } from '../support/eventually';
import { Note, NoteWritten, type Recording, noteWritten, startRecording } from './record-harness';

class Line {
  @IsString() sku!: string;
  @IsInt() @Min(1) quantity!: number;
}

@ReliableEvent({ type: 'order.placed' })
class OrderPlaced {
  @IsUUID() orderId!: string;
  @ValidateNested({ each: true }) @Type(() => Line) lines!: Line[];
  @IsOptional() @ValidateNested() @Type(() => Line) gift?: Line;
}

/** No decorator says anything about its payload. */
@ReliableEvent({ type: 'anything.happened' })
class AnythingHappened {
  constructor(readonly value?: unknown) {}
}

@ReliableEvent({ type: 'date.fixed' })
class DateFixed {
  @IsDate() at!: Date;
}

@ReliableEvent({ type: 'date.fixed-typed' })
class DateFixedTyped {
  @IsDate() @Type(() => Date) at!: Date;
}

@ReliableEvent({ type: 'order.wrapped' })
class OrderWrapped {
  readonly orderId: string;
  constructor(order: { id: string }) {
    this.orderId = order.id;
  }
}

class NoEvent {
  readonly text = 'a';
}

class UndecoratedChild extends NoteWritten {}

type Mapped = NoteWritten | readonly NoteWritten[] | null | undefined;

@Injectable()
class Notes {
  mapped: Mapped | Promise<Mapped> | (() => Mapped);

  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten, function (this: Notes) {
    return typeof this.mapped === 'function' ? this.mapped() : this.mapped;
  })
  async write(text: string): Promise<void> {
    await this.notes.insert({ text });
  }

  @TransactionalEvent(NoteWritten)
  async writeResult(text: string): Promise<{ text: string }> {
    await this.notes.insert({ text });
    return { text };
  }

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }), {
    headers: (_text: string, correlation: string) => (correlation === '' ? undefined : { correlation }),
  })
  async writeWithHeaders(text: string, _correlation: string): Promise<void> {
    await this.notes.insert({ text });
  }
}

/** What an application has of its request. */
const correlation = new AsyncLocalStorage<unknown>();

function commonHeaders(): EventHeaders | undefined {
  const store = correlation.getStore();
  if (store instanceof Error) throw store;
  if (store === undefined) return undefined;
  return typeof store === 'string' ? { correlation: store } : (store as EventHeaders);
}

describe('the payload of an event', () => {
  let recording: Recording;
  let notes: Notes;

  beforeAll(async () => {
    recording = await startRecording({
      providers: [Notes],
      types: ['note.written', 'anything.happened', 'order.placed', 'date.fixed-typed'],
      reliableMq: { record: { maxPayloadBytes: 100_000, headers: commonHeaders } },
    });
    notes = recording.app.get(Notes);
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.close());

  /** Writes a business row, records in the same transaction, and returns the error. Nothing of either may be left. */
  async function refusalOf(event: object, headers?: Record<string, never>): Promise<InvalidEventError> {
    const error: unknown = await recording.events
      .transaction(async () => {
        await notes.notes.insert({ text: 'business' });
        await recording.events.record(event, headers ? { headers } : {});
      })
      .then(
        () => undefined,
        (reason: unknown) => reason,
      );
    expect(await recording.notes()).toEqual([]);
    expect(await recording.app.query('SELECT id FROM reliable_mq_outbox')).toEqual([]);
    return error as InvalidEventError;
  }

  async function storedText(): Promise<string | undefined> {
    const [row] = await recording.app.query<{ payload: string }>(
      'SELECT payload::text AS payload FROM reliable_mq_outbox',
    );
    return row?.payload;
  }

  const waiting = (): readonly { readonly body: Buffer; readonly properties: Readonly<Record<string, unknown>> }[] =>
    recording.broker.messages('tap');

  it('must be recorded inside a transaction: the error says how', async () => {
    const refused = recording.events.record(noteWritten('a'));
    await expect(refused).rejects.toThrow(NoTransactionError);
    await expect(refused).rejects.toMatchObject({
      code: 'NO_TRANSACTION',
      message: expect.stringMatching(
        /"note\.written" .*@TransactionalEvent.*events\.transaction.*dataSource\.transaction.*\{ manager \}/,
      ) as string,
    });
    const queryRunner = recording.app.dataSource.createQueryRunner();
    await expect(recording.events.record(noteWritten('a'), { manager: queryRunner.manager })).rejects.toThrow(
      NoTransactionError,
    );
    await expect(
      recording.events.record(noteWritten('a'), { manager: recording.app.dataSource.manager }),
    ).rejects.toThrow(NoTransactionError);
    await queryRunner.release();
    expect(await recording.stored()).toEqual([]);
  });

  describe('must be what its class allows', () => {
    it('each refused property is named, nested ones with their place, and the business row is gone', async () => {
      const error = await refusalOf(
        Object.assign(new OrderPlaced(), {
          orderId: 'x',
          lines: [
            { sku: 'a', quantity: 1 },
            { sku: 7, quantity: 0 },
          ],
          gift: {},
        }),
      );
      expect(error).toMatchObject({ code: 'INVALID_EVENT' });
      expect(error.properties.map(({ property }) => property)).toEqual([
        'orderId',
        'lines[1].sku',
        'lines[1].quantity',
        'gift.sku',
        'gift.quantity',
      ]);
      expect(error.message).toContain('lines[1].quantity: quantity must not be less than 1');
    });

    it.each([
      ['instances', Object.assign(new Line(), { sku: 'a', quantity: 0 })],
      ['plain objects', { sku: 'a', quantity: 0 }],
    ])('nested %s are looked at too', async (_, line) => {
      const event = Object.assign(new OrderPlaced(), {
        orderId: 'c1f1b3f0-6f4e-4b1e-9d8e-0a3b5c7d9e1f',
        lines: [line],
      });
      expect((await refusalOf(event)).properties.map(({ property }) => property)).toEqual(['lines[0].quantity']);
    });

    it('also for those who get it: a Date that stays a text there is refused here', async () => {
      const at = new Date('2026-11-22T12:00:00Z');
      expect((await refusalOf(Object.assign(new DateFixed(), { at }))).properties).toEqual([
        { property: 'at', problems: ['at must be a Date instance (JSON has no dates: add @Type(() => Date))'] },
      ]);
      await recording.events.transaction(() => recording.events.record(Object.assign(new DateFixedTyped(), { at })));
      expect(await storedText()).toBe('{"at":"2026-11-22T12:00:00.000Z"}');
    });

    it('and can be made into an instance of it', async () => {
      expect((await refusalOf(new OrderWrapped({ id: 'a' }))).message).toMatch(
        /OrderWrapped, whose constructor must work without arguments/,
      );
    });

    it.each([
      ['an object of another class', new NoEvent(), 'NoEvent'],
      [
        'an object of an undecorated subclass',
        Object.assign(new UndecoratedChild(), { text: 'a' }),
        'UndecoratedChild',
      ],
      ['null', null, 'null'],
      ['undefined', undefined, 'undefined'],
      ['an object without a class', Object.create(null), 'an object'],
      ['a text', 'a', 'String'],
      ['a class that is undecorated', NoEvent, 'NoEvent'],
      ['a function without a name', () => undefined, 'a function'],
    ])('and is no event when it is %s', async (_, value, name) => {
      const error = await refusalOf(value as object);
      expect(error).toBeInstanceOf(NotAnEventError);
      expect(error.message).toContain(`got ${name}, which is not decorated with @ReliableEvent`);
    });

    it.each([
      ['of the right form', { text: 'a' }],
      ['that names a class', { text: 'a', constructor: NoteWritten }],
    ])('nor when it is a plain object %s', async (_, value) => {
      const error = await refusalOf(value);
      expect(error).toBeInstanceOf(NotAnEventError);
      expect(error.message).toMatch(/got a plain object, .* Pass an instance: Object\.assign\(new /);
    });

    it('nor, by its type already, when it is a class, a list or a promise', () => {
      const { events } = recording;
      const refusals = [
        // @ts-expect-error -- the class itself
        () => events.record(NoteWritten),
        // @ts-expect-error -- several events
        () => events.record([noteWritten('a')]),
        // @ts-expect-error -- an event that was not awaited
        () => events.record(Promise.resolve(noteWritten('a'))),
      ];
      expect(refusals).toHaveLength(3);
    });

    it('nor when it is the class itself', async () => {
      const error: Error = await refusalOf(NoteWritten);
      expect(error).toBeInstanceOf(NotAnEventError);
      expect(error.message).toBe(
        'EventRecorder.record got the class NoteWritten itself, pass an instance: new NoteWritten(…).',
      );
      expect(error.stack).toContain(error.message);
      expect(error.stack).not.toContain('is not decorated');
    });
  });

  describe('must be JSON', () => {
    const circular: Record<string, unknown> = { list: [] };
    (circular['list'] as unknown[]).push({ again: circular });

    it.each<[string, unknown, string, string]>([
      ['circular', circular, 'value.list[0].again', 'circular'],
      ['a bigint', { big: 1n }, 'value.big', 'bigint'],
      ['NaN', [1, NaN], 'value[1]', 'NaN is not a JSON number'],
      ['Infinity', { a: { b: Infinity } }, 'value.a.b', 'Infinity'],
      ['an invalid date', { at: new Date('never') }, 'value.at', 'invalid date'],
      ['a Map', new Map([['a', 1]]), 'value', 'Map'],
      ['a Set', { set: new Set() }, 'value.set', 'Set'],
      ['a function', { run: () => 1 }, 'value.run', 'function'],
      ['a symbol', { name: Symbol('s') }, 'value.name', 'symbol'],
      ['binary', { bytes: Buffer.from('a') }, 'value.bytes', 'base64'],
      ['a promise', { later: Promise.resolve(1) }, 'value.later', 'await'],
      ['undefined in an array', [undefined], 'value[0]', 'undefined in an array'],
      ['an Error', { error: new Error('e') }, 'value.error', 'Error'],
      ['a regular expression', { pattern: /a/ }, 'value.pattern', 'regular expression'],
      ['a NUL character', { name: 'a\u0000b' }, 'value.name', 'NUL character'],
      ['half a surrogate pair', { name: 'a\ud83d' }, 'value.name', 'surrogate'],
      ['a NUL character in a name', { 'a\u0000b': 1 }, 'value.a\u0000b', 'NUL character'],
    ])('%s is refused by its name', async (_, value, property, problem) => {
      const error = await refusalOf(new AnythingHappened(value));
      expect(error).toMatchObject({ code: 'INVALID_EVENT' });
      expect(error.properties.map((each) => each.property)).toEqual([property]);
      expect(error.properties[0]?.problems[0]).toContain(problem);
    });

    it('every problem is in one error', async () => {
      const error = await refusalOf(new AnythingHappened({ a: NaN, b: 1n, c: [new Map()] }));
      expect(error.properties.map(({ property }) => property)).toEqual(['value.a', 'value.b', 'value.c[0]']);
    });

    it('what is refused of texts would be stored, and then fail each query that reads the payload', async () => {
      const query = (sql: string): Promise<unknown> => recording.app.query(sql);
      await expect(query(String.raw`SELECT '{"a": "x\u0000", "b": 1}'::json::text`)).resolves.toHaveLength(1);
      await expect(query(String.raw`SELECT '{"a": "x\u0000", "b": 1}'::json ->> 'b'`)).rejects.toThrow(
        /unsupported Unicode escape/,
      );
      await expect(query(String.raw`SELECT '{"a": "x\ud83d", "b": 1}'::json::text`)).resolves.toHaveLength(1);
      await expect(query(String.raw`SELECT '{"a": "x\ud83d", "b": 1}'::json ->> 'b'`)).rejects.toThrow(
        /invalid input syntax for type json/,
      );
    });

    it.each([
      ['😀 𝒳 é 漢字'],
      [String.raw`quotes " and \ and \u0000 as text`],
      ['line\nseparators\u2028\u2029\ttab\u0001'],
      [''],
    ])('any other text comes through: %j', async (text) => {
      await recording.events.transaction(() => recording.events.record(noteWritten(text)));
      expect(JSON.parse((await storedText()) ?? '')).toEqual({ text });
      expect(await recording.stored()).toEqual([text]);
      expect(await recording.published()).toEqual([text]);
    });

    it('is stored and sent as it is: order of properties, numbers and nesting', async () => {
      const value = { z: 1, a: [1.5, -0.1, 1e21, true, null, { deep: [[]] }], left: undefined, at: new Date(0) };
      await recording.events.transaction(() => recording.events.record(new AnythingHappened(value)));
      const json = '{"value":{"z":1,"a":[1.5,-0.1,1e+21,true,null,{"deep":[[]]}],"at":"1970-01-01T00:00:00.000Z"}}';
      expect(await storedText()).toBe(json);
      await eventually(() => expect(waiting().map(({ body }) => body.toString())).toEqual([json]));
    });
  });

  it('may not be larger than record.maxPayloadBytes, in bytes of UTF-8', async () => {
    const atLimit = 'é'.repeat((100_000 - '{"text":""}'.length - 1) / 2) + 'a';
    await recording.events.transaction(() => recording.events.record(noteWritten(atLimit)));
    expect(await recording.stored()).toEqual([atLimit]);
    await recording.reset();
    const error = await refusalOf(noteWritten(`${atLimit}a`));
    expect(error).toBeInstanceOf(PayloadTooLargeError);
    expect(error).toMatchObject({ details: { type: 'note.written', bytes: 100_001, maxBytes: 100_000 } });
  });

  it('comes with an id that is returned, stored and sent', async () => {
    const id = await recording.events.transaction(() => recording.events.record(noteWritten('a')));
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(await recording.app.query('SELECT id FROM reliable_mq_outbox')).toEqual([{ id }]);
    await eventually(() => expect(waiting().map(({ properties }) => properties['messageId'])).toEqual([id]));
  });

  describe('comes with headers', () => {
    it('that are stored and sent', async () => {
      const headers = { correlation: 'abc', retries: 3, urgent: true };
      await recording.events.transaction(() => recording.events.record(noteWritten('a'), { headers }));
      expect(await recording.app.query('SELECT headers FROM reliable_mq_outbox')).toEqual([{ headers }]);
      await eventually(() => expect(waiting()[0]?.properties['headers']).toMatchObject(headers));
    });

    it('that the options’ function gives to every event, under its own', async () => {
      correlation.enterWith('of the request');
      await recording.events.transaction(async () => {
        await recording.events.record(noteWritten('a'));
        await recording.events.record(noteWritten('b'), { headers: { correlation: 'its own', retries: 3 } });
      });
      await notes.writeWithHeaders('c', '');
      expect(await recording.app.query('SELECT headers FROM reliable_mq_outbox ORDER BY id')).toEqual([
        { headers: { correlation: 'of the request' } },
        { headers: { correlation: 'its own', retries: 3 } },
        { headers: { correlation: 'of the request' } },
      ]);
      correlation.enterWith(undefined);
    });

    it('or is refused when the options’ function throws, or gives none', async () => {
      correlation.enterWith(new Error('no request'));
      const record = (): Promise<string> =>
        recording.events.transaction(() => recording.events.record(noteWritten('a')));
      await expect(record()).rejects.toThrow('no request');
      correlation.enterWith(Promise.resolve({}));
      await expect(record()).rejects.toThrow(/record\.headers must return an object/);
      correlation.enterWith(undefined);
      expect(await recording.stored()).toEqual([]);
    });

    it('that the decorator makes of the arguments', async () => {
      await notes.writeWithHeaders('a', 'c-1');
      await notes.writeWithHeaders('b', '');
      expect(await recording.app.query('SELECT headers FROM reliable_mq_outbox ORDER BY id')).toEqual([
        { headers: { correlation: 'c-1' } },
        { headers: null },
      ]);
    });

    it.each<[string, unknown, string]>([
      ['x', null, 'a string, a number or a boolean'],
      ['x', { nested: 1 }, 'a string, a number or a boolean'],
      ['x', NaN, 'finite'],
      ['x', 'a\u0000', 'NUL'],
      ['x', '\udc00', 'surrogate'],
      ['x', 'a'.repeat(8193), 'longer than 8192 bytes'],
      ['reliable-mq-version', 1, 'reserved'],
      ['Reliable-MQ-anything', 1, 'reserved'],
      ['with space', 1, 'a header name'],
      ['', 1, 'a header name'],
    ])('and each wrong one is named: %j', async (name, value, problem) => {
      const error = await refusalOf(noteWritten('a'), { [name]: value } as Record<string, never>);
      expect(error.properties.map(({ property }) => property)).toEqual([`headers.${name}`]);
      expect(error.message).toContain(problem);
    });

    it('and their sum fits into the one frame that AMQP has for them', async () => {
      const headers = Object.fromEntries([1, 2, 3, 4, 5].map((key) => [`h${key}`, 'a'.repeat(8000)]));
      expect((await refusalOf(noteWritten('a'), headers as Record<string, never>)).message).toMatch(
        /headers: \d+ bytes, more than 32768/,
      );
    });

    it('and their problems stand beside those of the payload', async () => {
      const error = await refusalOf(new NoteWritten(), { 'with space': 1 } as unknown as Record<string, never>);
      expect(error.properties.map(({ property }) => property)).toEqual(['headers.with space', 'text']);
    });
  });

  describe('comes from the mapper', () => {
    const [a, b] = [{ text: 'a' }, { text: 'b' }];

    it.each<[string, Notes['mapped'], string[]]>([
      ['one payload', a, ['a']],
      ['an instance', noteWritten('a'), ['a']],
      ['an array', [a, b], ['a', 'b']],
      ['an empty array', [], []],
      ['null', null, []],
      ['undefined', undefined, []],
      ['a promise of one', Promise.resolve(a), ['a']],
      ['a promise of an array', Promise.resolve([a, b]), ['a', 'b']],
      ['a promise of none', Promise.resolve(null), []],
    ])('which may give %s', async (_, mapped, expected) => {
      notes.mapped = mapped;
      await notes.write('business');
      expect(await recording.notes()).toEqual(['business']);
      expect(await recording.stored()).toEqual(expected);
      expect(await recording.published()).toEqual(expected);
    });

    it.each<[string, () => Notes['mapped'], string]>([
      [
        'throws',
        () => () => {
          throw new Error('no mapping');
        },
        'no mapping',
      ],
      ['rejects', () => Promise.reject(new Error('no mapping')), 'no mapping'],
      ['gives an invalid payload', () => ({ text: 1 }) as never, 'text: text must be a string'],
      [
        'gives an invalid payload among others',
        () => [a, { text: 1 }, {}] as never,
        '[1].text: text must be a string; [2].text: text must be a string',
      ],
      ['gives what is no object', () => 'a' as never, '(payload): must be an object, got string'],
      ['gives arrays in an array', () => [[a]] as never, '(payload): must be an object, got an array'],
    ])('and when it %s, the transaction rolls back', async (_, mapped, message) => {
      notes.mapped = mapped();
      await expect(notes.write('business')).rejects.toThrow(message);
      expect(await recording.notes()).toEqual([]);
      expect(await recording.stored()).toEqual([]);
    });

    it('or is the method’s result where there is none', async () => {
      await expect(notes.writeResult('a')).resolves.toEqual({ text: 'a' });
      expect(await recording.stored()).toEqual(['a']);
    });
  });
});
