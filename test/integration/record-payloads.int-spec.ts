import { Type } from 'class-transformer';
import { IsDate, IsInt, IsOptional, IsString, IsUUID, Min, ValidateNested } from 'class-validator';
import { NoTransactionError, NotAnEventError, PayloadTooLargeError, ReliableEvent } from 'nestjs-reliable-mq';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { NoteWritten, noteWritten, Recording } from './record-harness';

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

describeEachDatabase('the payload of an event', (database) => {
  let recording: Recording;

  beforeAll(async () => {
    recording = await Recording.start({
      database,
      types: ['note.written', 'anything.happened', 'order.placed', 'date.fixed-typed'],
      reliableMq: { record: { maxPayloadBytes: 100_000 } },
    });
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

  async function storedText(): Promise<string | undefined> {
    return (await recording.app.outbox())[0]?.payload;
  }

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
      const error = await recording.refusalOf(
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
      expect((await recording.refusalOf(event)).properties.map(({ property }) => property)).toEqual([
        'lines[0].quantity',
      ]);
    });

    it('also for those who get it: a Date that stays a text there is refused here', async () => {
      const at = new Date('2026-11-22T12:00:00Z');
      expect((await recording.refusalOf(Object.assign(new DateFixed(), { at }))).properties).toEqual([
        { property: 'at', problems: ['at must be a Date instance (JSON has no dates: add @Type(() => Date))'] },
      ]);
      await recording.record(Object.assign(new DateFixedTyped(), { at }));
      expect(await storedText()).toBe('{"at":"2026-11-22T12:00:00.000Z"}');
    });

    it('and can be made into an instance of it', async () => {
      expect((await recording.refusalOf(new OrderWrapped({ id: 'a' }))).message).toMatch(
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
      const error = await recording.refusalOf(value as object);
      expect(error).toBeInstanceOf(NotAnEventError);
      expect(error.message).toContain(`got ${name}, which is not decorated with @ReliableEvent`);
    });

    it.each([
      ['of the right form', { text: 'a' }],
      ['that names a class', { text: 'a', constructor: NoteWritten }],
    ])('nor when it is a plain object %s', async (_, value) => {
      const error = await recording.refusalOf(value);
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
      const error: Error = await recording.refusalOf(NoteWritten);
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
      const error = await recording.refusalOf(new AnythingHappened(value));
      expect(error).toMatchObject({ code: 'INVALID_EVENT' });
      expect(error.properties.map((each) => each.property)).toEqual([property]);
      expect(error.properties[0]?.problems[0]).toContain(problem);
    });

    it('every problem is in one error', async () => {
      const error = await recording.refusalOf(new AnythingHappened({ a: NaN, b: 1n, c: [new Map()] }));
      expect(error.properties.map(({ property }) => property)).toEqual(['value.a', 'value.b', 'value.c[0]']);
    });

    it.each([
      ['😀 𝒳 é 漢字'],
      [String.raw`quotes " and \ and \u0000 as text`],
      ['line\nseparators\u2028\u2029\ttab\u0001'],
      [''],
    ])('any other text comes through: %j', async (text) => {
      await recording.record(noteWritten(text));
      expect(JSON.parse((await storedText()) ?? '')).toEqual({ text });
      expect(await recording.stored()).toEqual([text]);
      expect(await recording.published()).toEqual([text]);
    });

    it('is stored and sent as it is: order of properties, numbers and nesting', async () => {
      const value = { z: 1, a: [1.5, -0.1, 1e21, true, null, { deep: [[]] }], left: undefined, at: new Date(0) };
      await recording.record(new AnythingHappened(value));
      const json = '{"value":{"z":1,"a":[1.5,-0.1,1e+21,true,null,{"deep":[[]]}],"at":"1970-01-01T00:00:00.000Z"}}';
      expect(await storedText()).toBe(json);
      await eventually(() => expect(recording.waiting().map(({ body }) => body.toString())).toEqual([json]));
    });
  });

  it('may not be larger than record.maxPayloadBytes, in bytes of UTF-8', async () => {
    const atLimit = 'é'.repeat((100_000 - '{"text":""}'.length - 1) / 2) + 'a';
    await recording.record(noteWritten(atLimit));
    expect(await recording.stored()).toEqual([atLimit]);
    await recording.reset();
    const error = await recording.refusalOf(noteWritten(`${atLimit}a`));
    expect(error).toBeInstanceOf(PayloadTooLargeError);
    expect(error).toMatchObject({ details: { type: 'note.written', bytes: 100_001, maxBytes: 100_000 } });
  });

  it('comes with an id that is returned, stored and sent', async () => {
    const id = await recording.record(noteWritten('a'));
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(await recording.app.outbox()).toMatchObject([{ id }]);
    await eventually(() => expect(recording.waiting().map(({ properties }) => properties['messageId'])).toEqual([id]));
  });
});

describe('a text that PostgreSQL does not take as JSON', () => {
  let database: TestDatabase;
  beforeAll(async () => (database = await createTestDatabase('postgres')));
  afterAll(() => database.drop());

  it('would be stored, and then fail each query that reads the payload: so it is refused', async () => {
    const query = (sql: string): Promise<unknown> => database.query(sql);
    await expect(query(String.raw`SELECT '{"a": "x\u0000", "b": 1}'::json::text`)).resolves.toHaveLength(1);
    await expect(query(String.raw`SELECT '{"a": "x\u0000", "b": 1}'::json ->> 'b'`)).rejects.toThrow(
      /unsupported Unicode escape/,
    );
    await expect(query(String.raw`SELECT '{"a": "x\ud83d", "b": 1}'::json::text`)).resolves.toHaveLength(1);
    await expect(query(String.raw`SELECT '{"a": "x\ud83d", "b": 1}'::json ->> 'b'`)).rejects.toThrow(
      /invalid input syntax for type json/,
    );
  });
});
