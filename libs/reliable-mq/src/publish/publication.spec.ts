import { HEADER } from '../event/message-headers';
import { toMessages, worse } from './publication';
import { publication } from './scripted-publishing.fixture';

const ORIGIN = { service: 'shop', source: 'default', receiptQueue: 'shop.receipts' };

describe('a message', () => {
  it('carries what the consumer needs on the wire', () => {
    const event = publication({
      id: 'an-id',
      payload: '{"é":1}',
      version: 2,
      headers: { trace: 'x' },
      attempt: 4,
      redrives: 1,
    });
    expect(toMessages(event, ORIGIN)).toEqual([
      {
        target: { routingKey: 'order.created' },
        messageId: 'an-id',
        type: 'order.created',
        body: Buffer.from('{"é":1}'),
        headers: {
          trace: 'x',
          [HEADER.version]: 2,
          [HEADER.source]: 'default',
          [HEADER.attempt]: 4,
          [HEADER.redrives]: 1,
        },
        appId: 'shop',
        replyTo: 'shop.receipts',
      },
    ]);
  });

  it('carries its key and its cause, where it has them', () => {
    const [message] = toMessages(publication({ key: 'order 7', causationId: 'an-id' }), ORIGIN);
    expect(message?.headers).toMatchObject({ [HEADER.key]: 'order 7', [HEADER.causation]: 'an-id' });
    const [plain] = toMessages(publication(), ORIGIN);
    expect(Object.keys(plain?.headers ?? {})).toEqual([HEADER.version, HEADER.source, HEADER.attempt]);
  });

  it('asks for no receipts when the event expects none', () => {
    expect(toMessages(publication({ confirm: false }), ORIGIN)[0]).not.toHaveProperty('replyTo');
  });

  it('is one for each target, with one body', () => {
    const [first, second, ...others] = toMessages(publication({ targets: [{ queue: 'a' }, { queue: 'b' }] }), ORIGIN);
    expect([first?.target, second?.target, others]).toEqual([{ queue: 'a' }, { queue: 'b' }, []]);
    expect(first?.body).toBe(second?.body);
  });
});

it('of two outcomes the worse one decides', () => {
  const routed = { status: 'routed' } as const;
  const away = { status: 'unavailable', reason: 'away' } as const;
  const refused = { status: 'refused', reason: 'no' } as const;
  expect(worse(undefined, routed)).toBe(routed);
  expect(worse(routed, away)).toBe(away);
  expect(worse(refused, away)).toBe(refused);
});
