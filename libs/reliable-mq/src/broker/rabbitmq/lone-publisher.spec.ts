import type { OutgoingMessage, PublishOutcome } from '../transport';
import { LonePublisher } from './lone-publisher';

const message = (messageId: string): OutgoingMessage => ({
  target: { routingKey: 'order.placed' },
  messageId,
  type: 'order.placed',
  body: Buffer.alloc(0),
  headers: {},
});

/** A channel whose confirms the test gives. */
function scripted() {
  const sent: { readonly id: string; readonly confirm: (outcome: PublishOutcome) => void }[] = [];
  const channel = {
    isOpen: true,
    publish: ({ messageId }: OutgoingMessage, confirm: (outcome: PublishOutcome) => void) =>
      void sent.push({ id: messageId, confirm }),
    answerLater: (done: (outcome: PublishOutcome) => void, outcome: PublishOutcome) => done(outcome),
  };
  const outcomes: Record<string, string> = {};
  const record = (id: string) => (outcome: PublishOutcome) => (outcomes[id] = outcome.status);
  return { sent, channel, outcomes, record };
}

describe('LonePublisher', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('has one message on its channel at a time, in order', () => {
    const { sent, channel, outcomes, record } = scripted();
    const alone = new LonePublisher(channel, 1_000, () => undefined);
    for (const id of ['1', '2', '3']) alone.publish(message(id), record(id));
    expect(sent.map(({ id }) => id)).toEqual(['1']);
    sent[0]?.confirm({ status: 'routed' });
    sent[1]?.confirm({ status: 'refused', reason: 'no' });
    expect(sent.map(({ id }) => id)).toEqual(['1', '2', '3']);
    expect(outcomes).toEqual({ '1': 'routed', '2': 'refused' });
  });

  it('does not send what the one before it has decided', () => {
    const { sent, channel, outcomes, record } = scripted();
    const decided: PublishOutcome[] = [];
    const alone = new LonePublisher(channel, 1_000, () => decided[0]);
    for (const id of ['1', '2', '3']) alone.publish(message(id), record(id));
    const refused: PublishOutcome = { status: 'refused', reason: 'no right' };
    decided.push(refused);
    sent[0]?.confirm(refused);
    expect(sent).toHaveLength(1);
    expect(outcomes).toEqual({ '1': 'refused', '2': 'refused', '3': 'refused' });
  });

  it('waits for its channel, but not for longer than a confirm may take', () => {
    const { sent, channel, outcomes, record } = scripted();
    channel.isOpen = false;
    const alone = new LonePublisher(channel, 1_000, () => undefined);
    alone.publish(message('1'), record('1'));
    jest.advanceTimersByTime(600);
    alone.publish(message('2'), record('2'));
    jest.advanceTimersByTime(400);
    expect(outcomes).toEqual({ '1': 'unavailable' });
    channel.isOpen = true;
    alone.next();
    expect(sent.map(({ id }) => id)).toEqual(['2']);
  });

  it('answers at once beyond a thousand, and everybody at the end', () => {
    const { channel, outcomes, record } = scripted();
    channel.isOpen = false;
    const alone = new LonePublisher(channel, 1_000, () => undefined);
    for (let index = 0; index < 1_001; index += 1) alone.publish(message(String(index)), record(String(index)));
    expect(outcomes).toEqual({ '1000': 'unavailable' });
    alone.close();
    expect(Object.keys(outcomes)).toHaveLength(1_001);
    expect(jest.getTimerCount()).toBe(0);
  });
});
