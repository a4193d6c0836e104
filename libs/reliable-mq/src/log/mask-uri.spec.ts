import { maskUri, withoutPassword } from './mask-uri';

describe('maskUri', () => {
  it.each([
    ['amqp://user:secret@host:5672/vhost', 'amqp://user:***@host:5672/vhost'],
    ['amqps://:secret@host', 'amqps://:***@host'],
    ['amqp://user:se@cr@et@host/v', 'amqp://user:***@host/v'],
    ['amqp://user:se/cr:et@host/v', 'amqp://user:***@host/v'],
    ['postgres://u:secret@h/d?sslmode=require', 'postgres://u:***@h/d?sslmode=require'],
    ['postgres://h/d?user=u&password=secret&x=1', 'postgres://h/d?user=u&password=***&x=1'],
    ['tried amqp://a:secret@h1, amqp://b:secret@h2 and gave up', 'tried amqp://a:***@h1, amqp://b:***@h2 and gave up'],
    ['amqp://a:secret@h1,amqp://b:secret@h2', 'amqp://a:***@h1,amqp://b:***@h2'],
    ['git+ssh://u:secret@h', 'git+ssh://u:***@h'],
    ['cannot reach "amqp://u:secret@h"', 'cannot reach "amqp://u:***@h"'],
  ])('hides the password of %s', (text, masked) => {
    expect(maskUri(text)).toBe(masked);
    expect(maskUri(text)).not.toContain('secret');
  });

  it.each(['amqp://host:5672/v', 'amqp://user@host', 'no uri: a@b', 'http://h/path:x'])(
    'leaves %s as it is',
    (text) => {
      expect(maskUri(text)).toBe(text);
    },
  );
});

describe('withoutPassword', () => {
  it.each([
    ['postgres://u:secret@h:5432/d', 'postgres://u@h:5432/d'],
    ['postgres://u@h/d', 'postgres://u@h/d'],
    ['postgres://u:se@cr@et@h/d?sslmode=require', 'postgres://u@h/d?sslmode=require'],
    ['postgres://h/d?password=secret', 'postgres://h/d'],
    ['postgres://h/d?user=u&password=secret', 'postgres://h/d?user=u'],
    ['postgres://h/d?user=u&password=secret&sslmode=require', 'postgres://h/d?user=u&sslmode=require'],
    ['postgres://h/d?password=secret&passphrase=secret', 'postgres://h/d'],
    ['postgres://h/d?user=u&password=secret&sslpassword=secret&passphrase=secret&x=1', 'postgres://h/d?user=u&x=1'],
    ['postgres://h/d?password=secret&user=u&passphrase=secret', 'postgres://h/d?user=u'],
  ])('makes of %s what psql can be called with', (uri, callable) => {
    expect(withoutPassword(uri)).toBe(callable);
  });
});
