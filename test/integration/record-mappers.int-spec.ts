import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { TransactionalEvent } from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import { describeEachDatabase } from '../support/each-database';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

type Mapped = NoteWritten | readonly NoteWritten[] | null | undefined;

@Injectable()
class Notes {
  mapped: Mapped | Promise<Mapped> | (() => Mapped);

  constructor(@InjectRepository(Note) readonly notes: Repository<Note>) {}

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
}

describeEachDatabase('the payload that the mapper of @TransactionalEvent gives', (database) => {
  let recording: Recording;
  let notes: Notes;

  beforeAll(async () => {
    recording = await Recording.start({ database, providers: [Notes] });
    notes = recording.app.get(Notes);
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

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
  ])('may be %s', async (_, mapped, expected) => {
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
  ])('undoes the transaction when the mapper %s', async (_, mapped, message) => {
    notes.mapped = mapped();
    await expect(notes.write('business')).rejects.toThrow(message);
    expect(await recording.notes()).toEqual([]);
    expect(await recording.stored()).toEqual([]);
  });

  it('is the method’s result where there is none', async () => {
    await expect(notes.writeResult('a')).resolves.toEqual({ text: 'a' });
    expect(await recording.stored()).toEqual(['a']);
  });
});
