import { Injectable } from '@nestjs/common';
import { IsString, Validate, ValidatorConstraint } from 'class-validator';
import { type EventContext, MemoryBroker, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { createTestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import type { TestAppOptions } from '../support/test-app';
import { HEADER } from '../support/wire-headers';
import { Consuming, SERVICE } from './consume-harness';

/** Looks a badge up somewhere: the test decides what it finds. */
@ValidatorConstraint({ async: true })
class Registered {
  static asked = 0;
  static find: () => Promise<boolean> = () => Promise.resolve(true);

  validate(): Promise<boolean> {
    Registered.asked += 1;
    return Registered.find();
  }

  defaultMessage(): string {
    return 'no such badge';
  }
}

@ReliableEvent({ type: 'badge.shown' })
class BadgeShown {
  @IsString() @Validate(Registered) text!: string;
}

const TIMEOUT_MS = 300;

@Injectable()
class Gate {
  readonly opened: string[] = [];

  @ReliableEventHandler(BadgeShown, { prefetch: 1, timeoutMs: TIMEOUT_MS, maxAttempts: 3 })
  open(_: BadgeShown, { eventId }: EventContext): void {
    this.opened.push(eventId);
  }
}

const QUEUE = `${SERVICE}.badge.shown`;
const PARKED = `${SERVICE}.parked`;
const never = (): Promise<boolean> => new Promise(() => undefined);

/** The first `times` look-ups go another way. */
function firstLookUps(times: number, find: () => Promise<boolean>): void {
  let left = times;
  Registered.find = () => (left-- > 0 ? find() : Promise.resolve(true));
}

const away = (): Promise<boolean> => Promise.reject(new Error('the registry is away'));

function start(options: TestAppOptions = {}): Promise<Consuming> {
  return Consuming.start({ entities: [], providers: [Gate], ...options });
}

describe('a payload whose validation has to wait', () => {
  let consuming: Consuming;

  beforeAll(async () => {
    consuming = await start();
  });
  afterEach(() => {
    Registered.find = () => Promise.resolve(true);
    expect(consuming.broker.purge(PARKED)).toBe(0);
  });
  afterAll(() => consuming.dispose());

  const show = (headers: Record<string, unknown> = {}, messageId?: string): string =>
    consuming.send('Ada', { type: 'badge.shown', fromProducer: true, headers, messageId });
  const opened = (id: string): number => consuming.app.get(Gate).opened.filter((each) => each === id).length;
  const outcomes = (id: string): unknown[] => consuming.receipts(id).map(({ outcome }) => outcome);

  it('is tried again when the validation fails, and is handled', async () => {
    firstLookUps(2, away);
    const id = show();
    const reason = 'the validation of its payload failed: Error: the registry is away';
    await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({
      attempts: 3,
      history: [
        { attempt: 1, reason },
        { attempt: 2, reason },
      ],
    });
    expect(opened(id)).toBe(1);
    await eventually(() => expect(outcomes(id)).toEqual(['retrying', 'retrying', 'handled']));
  });

  it("is given up after the handler's attempts", async () => {
    Registered.find = away;
    const id = show();
    await expect(consuming.settled(id, 'dead')).resolves.toMatchObject({
      attempts: 3,
      reason: expect.stringMatching(/^given up after 3 attempts: .* the registry is away$/) as string,
    });
    await eventually(() => expect(outcomes(id)).toEqual(['retrying', 'retrying', 'dead']));
    expect(opened(id)).toBe(0);
  });

  it('is tried again also when its dead event, sent again by hand, meets such a failure', async () => {
    Registered.find = away;
    const id = show();
    await consuming.settled(id, 'dead');
    // It is read before the inbox is asked for its row, and once more when it starts anew.
    firstLookUps(2, away);
    show({ [HEADER.redrives]: 1 }, id);
    await consuming.settled(id, 'handled');
    await eventually(() => expect(outcomes(id).slice(3)).toEqual(['retrying', 'handled']));
  });

  it('does not undo what is handled when a copy meets such a failure', async () => {
    const id = show();
    await consuming.settled(id, 'handled');
    Registered.find = away;
    show({}, id);
    await eventually(() => expect(outcomes(id)).toEqual(['handled', 'handled']));
    expect(opened(id)).toBe(1);
  });

  it('frees its slot when the validation does not end', async () => {
    firstLookUps(1, never);
    const hanging = show();
    const other = show();
    await consuming.settled(other, 'handled');
    await expect(consuming.settled(hanging, 'handled')).resolves.toMatchObject({
      history: [{ reason: expect.stringContaining(`did not end within ${TIMEOUT_MS} ms`) as string }],
    });
  });
});

describe('a message that is delivered again', () => {
  /** An application, and a message that the one before it had in hand when it stopped. */
  async function again(
    fromProducer: boolean,
  ): Promise<{ readonly id: string; readonly next: () => Promise<Consuming> }> {
    const [broker, database] = [new MemoryBroker(), await createTestDatabase()];
    const options: TestAppOptions = { broker, database, reliableMq: { shutdown: { drainMs: 100 } } };
    const first = await start({ ...options, providers: [PatientGate] });
    Registered.find = never;
    Registered.asked = 0;
    const id = first.send('Ada', { type: 'badge.shown', fromProducer });
    await eventually(() => expect(Registered.asked).toBeGreaterThan(0));
    await first.dispose();
    return {
      id,
      next: async () => {
        const consuming = await start(options);
        const dispose = consuming.dispose.bind(consuming);
        return Object.assign(consuming, {
          dispose: async () => {
            await dispose();
            await database.drop();
          },
        });
      },
    };
  }

  @Injectable()
  class PatientGate {
    @ReliableEventHandler(BadgeShown, { timeoutMs: 60_000 })
    open(): void {}
  }

  const parkedIds = (consuming: Consuming): unknown[] =>
    consuming.broker.messages(PARKED).map(({ properties }) => properties['messageId']);

  afterEach(() => (Registered.find = () => Promise.resolve(true)));

  it('is stored as started before its payload is validated, which may be what kills the process', async () => {
    const { id, next } = await again(true);
    const stored: unknown[] = [];
    const reads: { consuming?: Consuming } = {};
    Registered.find = async () => {
      const each = await eventually(() => reads.consuming ?? false);
      stored.push(...(await each.inbox(id)), 'asked');
      return true;
    };
    const consuming = (reads.consuming = await next());
    try {
      await consuming.settled(id, 'handled');
      expect(stored).toMatchObject([{ status: 'failed', attempts: 1, unfinished_starts: 2 }, 'asked']);
    } finally {
      await consuming.dispose();
    }
  });

  it('is rejected and put into the parking queue when its payload turns out to be invalid', async () => {
    const { id, next } = await again(true);
    Registered.find = () => Promise.resolve(false);
    const consuming = await next();
    try {
      await expect(consuming.settled(id, 'rejected')).resolves.toMatchObject({
        reason: 'its payload is invalid: text: no such badge',
        body: Buffer.from('{"text":"Ada"}'),
      });
      await eventually(() => expect(parkedIds(consuming)).toEqual([id]));
      await eventually(() => expect(consuming.receipts(id)).toMatchObject([{ outcome: 'rejected' }]));
      Registered.find = () => Promise.resolve(true);
      consuming.send('Ada', {
        type: 'badge.shown',
        fromProducer: true,
        messageId: id,
        headers: { [HEADER.redrives]: 1 },
      });
      await consuming.settled(id, 'handled');
    } finally {
      await consuming.dispose();
    }
  });

  it('is tried again when the validation fails', async () => {
    const { id, next } = await again(true);
    firstLookUps(1, away);
    const consuming = await next();
    try {
      await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({
        attempts: 2,
        history: [{ attempt: 1, reason: expect.stringContaining('the registry is away') as string }],
      });
    } finally {
      await consuming.dispose();
    }
  });

  it("takes no id that may be another event's when it is invalid and comes from somebody else", async () => {
    const { id, next } = await again(false);
    Registered.find = () => Promise.resolve(false);
    const consuming = await next();
    try {
      await eventually(() => expect(parkedIds(consuming)).toEqual([id]));
      await expect(consuming.inbox(id)).resolves.toEqual([]);
    } finally {
      await consuming.dispose();
    }
  });
});

describe('a validation that does not end while the process stops', () => {
  @Injectable()
  class PatientGate {
    @ReliableEventHandler(BadgeShown)
    open(): void {
      throw new Error('not yet');
    }
  }

  it('gives back the message, or its row, without an attempt', async () => {
    const [broker, database] = [new MemoryBroker(), await createTestDatabase()];
    const consuming = await start({
      broker,
      database,
      providers: [PatientGate],
      reliableMq: { shutdown: { drainMs: 100 }, consume: { timeoutMs: 60_000 } },
    });
    const sent = (text: string): string => consuming.send(text, { type: 'badge.shown' });
    Registered.find = () => Promise.resolve(true);
    const kept = sent('kept');
    await consuming.settled(kept, 'failed');
    Registered.find = never;
    Registered.asked = 0;
    const fresh = sent('fresh');
    await eventually(() => expect(Registered.asked).toBe(2));
    const [before] = await consuming.inbox(kept);

    await consuming.dispose();

    expect(broker.messages(QUEUE).map(({ properties }) => properties['messageId'])).toEqual([fresh]);
    Registered.find = () => Promise.resolve(true);
    const next = await start({ broker, database });
    try {
      await expect(next.settled(kept, 'handled')).resolves.toMatchObject({ attempts: before?.attempts });
      await next.settled(fresh, 'handled');
    } finally {
      await next.dispose();
      await database.drop();
    }
  });
});
