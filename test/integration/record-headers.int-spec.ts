import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EventHeaders, TransactionalEvent } from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

@Injectable()
class Notes {
  constructor(@InjectRepository(Note) readonly notes: Repository<Note>) {}

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

describeEachDatabase('the headers of an event', (database) => {
  let recording: Recording;
  let notes: Notes;

  beforeAll(async () => {
    recording = await Recording.start({
      database,
      providers: [Notes],
      reliableMq: { record: { headers: commonHeaders } },
    });
    notes = recording.app.get(Notes);
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

  const stored = async (): Promise<unknown[]> => (await recording.app.outbox()).map(({ headers }) => headers);

  it('that are stored and sent', async () => {
    const headers = { correlation: 'abc', retries: 3, urgent: true };
    await recording.record(noteWritten('a'), headers);
    expect(await stored()).toEqual([headers]);
    await eventually(() => expect(recording.waiting()[0]?.properties['headers']).toMatchObject(headers));
  });

  it('that the options’ function gives to every event, under its own', async () => {
    correlation.enterWith('of the request');
    await recording.events.transaction(async () => {
      await recording.events.record(noteWritten('a'));
      await recording.events.record(noteWritten('b'), { headers: { correlation: 'its own', retries: 3 } });
    });
    await notes.writeWithHeaders('c', '');
    expect(await stored()).toEqual([
      { correlation: 'of the request' },
      { correlation: 'its own', retries: 3 },
      { correlation: 'of the request' },
    ]);
    correlation.enterWith(undefined);
  });

  it('or is refused when the options’ function throws, or gives none', async () => {
    correlation.enterWith(new Error('no request'));
    const record = (): Promise<string> => recording.record(noteWritten('a'));
    await expect(record()).rejects.toThrow('no request');
    correlation.enterWith(Promise.resolve({}));
    await expect(record()).rejects.toThrow(/record\.headers must return an object/);
    correlation.enterWith(undefined);
    expect(await recording.stored()).toEqual([]);
  });

  it('that the decorator makes of the arguments', async () => {
    await notes.writeWithHeaders('a', 'c-1');
    await notes.writeWithHeaders('b', '');
    expect(await stored()).toEqual([{ correlation: 'c-1' }, null]);
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
    const error = await recording.refusalOf(noteWritten('a'), { [name]: value } as Record<string, never>);
    expect(error.properties.map(({ property }) => property)).toEqual([`headers.${name}`]);
    expect(error.message).toContain(problem);
  });

  it('and their sum fits into the one frame that AMQP has for them', async () => {
    const headers = Object.fromEntries([1, 2, 3, 4, 5].map((key) => [`h${key}`, 'a'.repeat(8000)]));
    expect((await recording.refusalOf(noteWritten('a'), headers as Record<string, never>)).message).toMatch(
      /headers: \d+ bytes, more than 32768/,
    );
  });

  it('and their problems stand beside those of the payload', async () => {
    const error = await recording.refusalOf(new NoteWritten(), { 'with space': 1 } as unknown as Record<string, never>);
    expect(error.properties.map(({ property }) => property)).toEqual(['headers.with space', 'text']);
  });
});
