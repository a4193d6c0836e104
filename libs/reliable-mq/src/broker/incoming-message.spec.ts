import { toIncomingMessage } from './incoming-message';

describe('toIncomingMessage', () => {
  const body = Buffer.from('x');

  it.each([
    ['numbers', { messageId: 1, type: 2, contentType: 3, contentEncoding: 4, replyTo: 5, appId: 6, headers: 7 }],
    [
      'objects',
      { messageId: {}, type: [], contentType: {}, contentEncoding: {}, replyTo: {}, appId: {}, headers: [1] },
    ],
    ['nothing', {}],
    [
      'null',
      {
        messageId: null,
        type: null,
        contentType: null,
        contentEncoding: null,
        replyTo: null,
        appId: null,
        headers: null,
      },
    ],
  ])('takes properties that are %s for missing, and keeps them as they came', (_, properties) => {
    expect(toIncomingMessage('q', { body, properties, routingKey: 'key' }, false)).toEqual({
      queue: 'q',
      body,
      messageId: undefined,
      type: undefined,
      contentType: undefined,
      contentEncoding: undefined,
      replyTo: undefined,
      appId: undefined,
      headers: {},
      properties,
      routingKey: 'key',
      redelivered: false,
    });
  });
});
