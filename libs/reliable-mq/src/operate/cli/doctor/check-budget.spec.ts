import { type Budget, checkBudget } from './check-budget';

const DEFAULTS: Budget = { producers: [], consumerTimeoutMs: 1_800_000 };

/** What must be changed, and what could not be checked. */
function told(budget: Partial<Budget>): { change: readonly string[]; notChecked: readonly string[] } {
  const findings = checkBudget({ ...DEFAULTS, ...budget });
  const of = (wanted: string): readonly string[] =>
    findings.filter(({ verdict }) => verdict === wanted).map(({ text }) => text);
  return { change: of('change'), notChecked: of('not-checked') };
}

describe('the budget that the doctor computes', () => {
  it('holds with the defaults, and says what it would have to be told', () => {
    expect(told({})).toEqual({
      change: [],
      notChecked: [
        expect.stringContaining('--producer-options') as string,
        expect.stringContaining('--pool-size') as string,
      ],
    });
    expect(told({ producers: [{ service: 'order' }], poolSize: 25, handlersAtOnce: 20 })).toEqual({
      change: [],
      notChecked: [],
    });
  });

  it.each<[string, Partial<Budget>, string]>([
    [
      'options that do not hold together',
      { options: { service: 'x', publish: { leaseMs: 1000, confirmTimeoutMs: 900 } } },
      'publish.confirmTimeoutMs (900) must be at most half',
    ],
    ['an unknown option', { options: { service: 'x', retension: {} } }, 'did you mean "retention"?'],
    [
      'an inbox that forgets before its own service gives up',
      { options: { service: 'x', retention: { inboxHours: 1 } } },
      'retention.inboxHours (1) must be longer',
    ],
    [
      'an inbox that forgets before a producer gives up',
      { producers: [{ service: 'order', publish: { maxAttempts: 60 }, retention: { inboxHours: 9000 } }] },
      'Raise retention.inboxHours here.',
    ],
    [
      'events that are larger than what is taken',
      { producers: [{ service: 'order', record: { maxPayloadBytes: 20_000_000 } }] },
      'Raise consume.maxMessageBytes',
    ],
    [
      'a handler that takes longer than the broker waits',
      { handlerTimeoutMs: 1_000_000 },
      'raise consumer_timeout to more than 2000000 ms',
    ],
    ['a pool that the handlers take whole', { poolSize: 10, handlersAtOnce: 10 }, 'Raise poolSize, or lower prefetch.'],
    [
      'payloads above what RabbitMQ 4 takes',
      { options: { service: 'x', record: { maxPayloadBytes: 20_000_000 } }, brokerVersion: '4.1.0' },
      'Lower it, or raise max_message_size',
    ],
  ])('finds %s', (_what, budget, advice) => {
    const { change } = told(budget);

    expect(change).toEqual([expect.stringContaining(advice)]);
  });

  it('knows that RabbitMQ 3 takes larger messages', () => {
    const options = { service: 'x', record: { maxPayloadBytes: 20_000_000 } };

    expect(told({ options, brokerVersion: '3.13.7' }).change).toEqual([]);
  });

  it('takes what stands beside the options, and a broker that it does not ask', () => {
    const options = { service: 'x', producer: false, dataSources: ['default'], rabbitmq: { uri: 'amqp://localhost' } };

    expect(told({ options }).change).toEqual([]);
  });
});
