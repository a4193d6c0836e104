import type { TestApp } from '../support/test-app';
import { Person, startConsoleApp, Things } from './console-harness';

describe.each(['express', 'fastify'] as const)('who may see the console, on %s', (http) => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startConsoleApp({ http });
  });
  afterAll(() => app.dispose());

  it('says who it is, and what it looks at', async () => {
    const { status, headers, body } = await new Person(app, 'anna').get('session');
    expect(status).toBe(200);
    expect(body).toEqual({
      role: 'act',
      actor: 'anna',
      csrf: expect.any(String),
      service: 'shop',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      sources: [{ name: 'default', database: 'postgres', isOwn: true }],
    });
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
  });

  it('lists events', async () => {
    const id = await app.get(Things).make('a');
    const { status, body } = await new Person(app, 'reader').get(`events?key=a`);
    expect(status).toBe(200);
    expect(body).toEqual({
      events: [expect.objectContaining({ id, type: 'thing.made', key: 'a', source: 'default' })],
    });
  });

  it('tells what is so now', async () => {
    const { status, body } = await new Person(app, 'reader').get('now');
    expect(status).toBe(200);
    expect(body).toMatchObject({ health: { status: 'up' }, sources: [{ source: 'default', cap: 10_000 }] });
  });

  it('has a page, or says that it was not built', async () => {
    const { status, body } = await new Person(app, 'reader').page('');
    expect([200, 503]).toContain(status);
    expect(body).toMatch(/<!doctype html>|npm run build:console/);
  });
});
