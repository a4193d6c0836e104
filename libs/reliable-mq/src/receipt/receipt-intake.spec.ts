import { Wakeups } from '../event/wakeups';
import type {
  Delivery,
  QueueSpec,
  QueueState,
  SubscriptionStatus,
  Transport,
  TransportStatus,
} from '../broker/transport';
import { ReceiptIntake } from './receipt-intake';

describe('ReceiptIntake', () => {
  let specs: QueueSpec[];
  let status: SubscriptionStatus;
  let state: QueueState;
  let tell: (status: TransportStatus) => void;
  let deliver: (delivery: Delivery) => void;
  let woken: string[];
  let taken: Delivery[];
  let intake: ReceiptIntake;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    specs = [];
    status = { consuming: true };
    state = { messages: 0, consumers: 1 };
    woken = [];
    taken = [];
    const transport: Pick<Transport, 'subscribe' | 'onStatus' | 'queueState'> = {
      subscribe: async (spec, _prefetch, onDelivery) => {
        specs.push(spec);
        deliver = onDelivery;
        return { status: () => status, close: async () => undefined };
      },
      onStatus: (listener) => {
        tell = listener;
        return () => undefined;
      },
      queueState: async () => state,
    };
    const wakeups = new Wakeups();
    wakeups.onWake((job) => woken.push(job));
    intake = new ReceiptIntake({ service: 'order' }, transport as Transport, wakeups);
  });
  afterEach(async () => {
    await intake.stop();
    jest.useRealTimers();
  });

  const start = async (): Promise<void> => {
    await intake.start((delivery) => taken.push(delivery));
    await turn();
  };
  const message = (): Delivery => ({ message: {} as Delivery['message'], ack: () => undefined });

  it('takes from a queue that survives a node, and from that of earlier versions where there is one', async () => {
    await start();
    expect(specs).toMatchObject([
      { name: 'order.receipts.quorum', kind: 'receipts' },
      { name: 'order.receipts', kind: 'existing' },
    ]);
  });

  it('receives from the start, where nothing waits', async () => {
    expect(intake.problem).toBe('receipts cannot be received: not started');
    await start();
    expect(intake.problem).toBeUndefined();
    expect(intake.receivesForMs).toBe(Number.POSITIVE_INFINITY);
    expect(woken).toEqual(['chase']);
  });

  it('has to write first what waits, in the queue and in its own hands', async () => {
    state = { messages: 5, consumers: 1 };
    await start();
    expect(intake.problem).toBe('receipts that have waited in the queue are being written');
    deliver(message());
    state = { messages: 0, consumers: 1 };
    await jest.advanceTimersByTimeAsync(500);
    expect(intake.problem).toBeDefined();
    taken[0]?.ack();
    await jest.advanceTimersByTimeAsync(500);
    expect(intake.problem).toBeUndefined();
    expect(woken).toEqual(['chase']);
  });

  it('does not wait for ever for a queue that others fill all the time', async () => {
    state = { messages: 5, consumers: 1 };
    await start();
    await jest.advanceTimersByTimeAsync(60_500);
    expect(intake.problem).toBeUndefined();
  });

  it('says why nothing comes, and when it came back', async () => {
    await start();
    status = { consuming: false, reason: 'queue "order.receipts.quorum" is not consumed: no majority' };
    tell({ available: true });
    expect(intake.problem).toBe(
      'receipts cannot be received: queue "order.receipts.quorum" is not consumed: no majority',
    );
    status = { consuming: true };
    // Nobody told: whoever asks finds out.
    expect(intake.problem).toBe('receipts that have waited in the queue are being written');
    await turn();
    expect(intake.problem).toBeUndefined();
    await jest.advanceTimersByTimeAsync(1000);
    expect(intake.receivesForMs).toBe(1000);
    expect(woken).toEqual(['chase', 'chase']);
  });

  it('is interrupted too while what came cannot be written', async () => {
    await start();
    deliver(message());
    intake.interrupt('database "default" is away');
    expect(intake.problem).toBe('receipts cannot be received: database "default" is away');
    intake.resume();
    await turn();
    expect(intake.problem).toBe('receipts that have waited in the queue are being written');
    taken[0]?.ack();
    await jest.advanceTimersByTimeAsync(500);
    expect(intake.problem).toBeUndefined();
  });

  it('begins anew when it is interrupted while it catches up', async () => {
    state = { messages: 5, consumers: 1 };
    await start();
    await jest.advanceTimersByTimeAsync(59_000);
    status = { consuming: false };
    expect(intake.problem).toContain('cannot be received');
    status = { consuming: true };
    expect(intake.problem).toContain('being written');
    await jest.advanceTimersByTimeAsync(59_000);
    expect(intake.problem).toContain('being written');
    await jest.advanceTimersByTimeAsync(2000);
    expect(intake.problem).toBeUndefined();
  });
});

/** Let the answers of the broker arrive. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
