import { describeConnectFailure, describeConnectionLoss, uriForPeople } from './connection-problem';

describe('connection problems, for people', () => {
  const uri = 'amqp://shop:s3cret@mq.example:5672/orders?heartbeat=10';
  const refused =
    'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile."';
  const resolved = Object.assign(
    new AggregateError([new Error('connect ECONNREFUSED ::1:5672'), new Error('connect ECONNREFUSED 127.0.0.1:5672')]),
    {
      message: '',
    },
  );

  it.each([
    [
      new Error(refused),
      { uri, username: 'shop' },
      'ACCESS_REFUSED: the broker does not accept the password of user "shop", or there is no such user',
    ],
    [
      new Error(refused),
      { uri: 'amqp://mq.example', username: 'guest' },
      'ACCESS_REFUSED: the broker does not accept the password of user "guest", or there is no such user',
    ],
    [
      new Error('Expected ConnectionOpenOk; got <ConnectionClose channel:0>'),
      { uri, username: 'shop' },
      'the broker closed the connection instead of opening virtual host "orders": it does not exist, user "shop" may not use it, or it allows no more connections',
    ],
    [
      new Error('Expected ConnectionOpenOk; got <ConnectionClose channel:0>'),
      { uri: 'amqp://a%40b:x@mq.example/%2F', username: 'a@b' },
      'the broker closed the connection instead of opening virtual host "/": it does not exist, user "a@b" may not use it, or it allows no more connections',
    ],
    [resolved, { uri, username: 'shop' }, 'connect ECONNREFUSED ::1:5672, connect ECONNREFUSED 127.0.0.1:5672'],
    [
      new Error('cannot use amqp://shop:s3cret@mq.example'),
      { uri, username: 'shop' },
      'cannot use amqp://shop:***@mq.example',
    ],
    ['odd', { uri, username: 'shop' }, 'odd'],
  ])('%s', (error, to, text) => {
    expect(describeConnectFailure(error, to)).toBe(text);
  });

  it('says that a connection was closed when nothing else is known', () => {
    expect(describeConnectionLoss(undefined)).toBe('closed');
    expect(describeConnectionLoss(new Error('read\n  ECONNRESET'))).toBe('read ECONNRESET');
  });

  it('shows a URI without password and parameters', () => {
    expect(uriForPeople(uri)).toBe('amqp://shop:***@mq.example:5672/orders');
  });
});
