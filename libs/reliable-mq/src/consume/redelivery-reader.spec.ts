import 'reflect-metadata';
import { IsString, Validate, ValidatorConstraint } from 'class-validator';
import type { InboxStore } from '../inbox/inbox.store';
import type { StoreSet } from '../stores/stores';
import type { OpenedMessage } from './message-reader';
import type { OutcomeWriter } from './outcome-writer';
import { RedeliveryReader } from './redelivery-reader';

@ValidatorConstraint({ async: true })
class Known {
  static answer: () => Promise<boolean> = () => Promise.resolve(true);
  validate(): Promise<boolean> {
    return Known.answer();
  }
}

class Greeting {
  @IsString() @Validate(Known) text!: string;
}

const MAX_UNFINISHED = 3;

function storeSet(starts: () => number | Promise<number>, steps: string[]): StoreSet {
  const inbox: Pick<InboxStore, 'noteReading' | 'endReading'> = {
    noteReading: async ({ eventId }) => {
      steps.push(`note ${eventId}`);
      return starts();
    },
    endReading: async ({ eventId }) => void steps.push(`end ${eventId}`),
  };
  return { inbox } as StoreSet;
}

function opened(id: string, stores: StoreSet): OpenedMessage {
  const handler = { stores, consumer: 'hall', timeoutMs: 10_000, eventType: { eventClass: Greeting } };
  return {
    kind: 'opened',
    eventId: id,
    handler,
    payload: { text: 'hi' },
    parkingId: () => id,
  } as unknown as OpenedMessage;
}

describe('RedeliveryReader', () => {
  const outcomes = { persist: (_set: StoreSet, statement: () => Promise<unknown>) => statement() } as OutcomeWriter;
  let steps: string[];
  let reader: RedeliveryReader;

  beforeEach(() => {
    steps = [];
    reader = new RedeliveryReader(MAX_UNFINISHED, outcomes, new AbortController().signal);
    Known.answer = () => Promise.resolve(true);
  });

  it('notes one message after the other, and takes each note away when its message could be read', async () => {
    const set = storeSet(() => 2, steps);
    const readings = await Promise.all(['a', 'b'].map((id) => reader.read(opened(id, set))));
    expect(readings).toMatchObject([{ kind: 'event' }, { kind: 'event' }]);
    expect(steps.filter((step) => step.startsWith('note'))).toEqual(['note a', 'note b']);
    expect(steps.filter((step) => step.startsWith('end')).sort()).toEqual(['end a', 'end b']);
  });

  it('reads a message no more whose readings have not finished three times', async () => {
    const set = storeSet(() => MAX_UNFINISHED + 1, steps);
    await expect(reader.read(opened('a', set))).resolves.toMatchObject({
      kind: 'unreadable',
      reason: 'its payload was read 3 times, and the process ended each time; it may be killing its process',
      parkingId: 'a',
      killsProcess: true,
    });
    expect(steps).toEqual(['note a']);
  });

  it('notes no copy of what is still being read here', async () => {
    const set = storeSet(() => 2, steps);
    let answer: (known: boolean) => void = () => undefined;
    Known.answer = () => new Promise((resolve) => (answer = resolve));
    const first = reader.read(opened('a', set));
    const copy = reader.read(opened('a', set));
    await new Promise((resolve) => setImmediate(resolve));
    expect(steps).toEqual(['note a']);
    answer(true);
    await first;
    await new Promise((resolve) => setImmediate(resolve));
    answer(true);
    await expect(copy).resolves.toMatchObject({ kind: 'event' });
    expect(steps).toEqual(['note a', 'end a', 'note a', 'end a']);
  });

  it("does not wait for another DataSource's database", async () => {
    const away = storeSet(() => new Promise<number>(() => undefined), steps);
    void reader.read(opened('a', away));
    await expect(
      reader.read(
        opened(
          'b',
          storeSet(() => 2, steps),
        ),
      ),
    ).resolves.toMatchObject({ kind: 'event' });
  });
});
