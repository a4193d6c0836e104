import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import type { TestApp } from '../support/test-app';
import { Person, startConsoleApp, Things } from './console-harness';

interface Listed {
  readonly events: readonly { readonly id: string; readonly type: string; readonly reason: string | null }[];
  readonly next?: string;
}
interface Refused {
  readonly code: string;
  readonly message: string;
}

describeEachDatabase("the console's lists", (database) => {
  let app: TestApp;
  let reader: Person;
  let things: Things;

  beforeAll(async () => {
    app = await startConsoleApp({ database });
    reader = new Person(app, 'reader');
    things = app.get(Things);
  });
  afterAll(() => app.dispose());

  async function dead(name: string): Promise<string> {
    things.refused.add(name);
    const id = await things.make(name);
    await eventually(async () => expect((await app.outbox({ id }))[0]?.status).toBe('dead'));
    return id;
  }

  async function list(query: string): Promise<Listed> {
    const { status, body } = await reader.get<Listed>(`events?${query}`);
    expect({ status, body }).toMatchObject({ status: 200 });
    return body;
  }

  it('come in pages by cursor, newest first, and what is recorded meanwhile moves none', async () => {
    const ids: string[] = [];
    for (let made = 0; made < 5; made += 1) ids.unshift(await things.make('paged'));
    const first = await list('key=paged&limit=2');
    expect(first.events.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    await things.make('paged');
    const second = await list(`key=paged&limit=2&before=${first.next}`);
    expect(second.events.map(({ id }) => id)).toEqual(ids.slice(2, 4));
    const last = await list(`key=paged&limit=2&before=${second.next}`);
    expect(last).toEqual({ events: [expect.objectContaining({ id: ids[4] })] });
  });

  it('are filtered by status, type, key, age and fingerprint', async () => {
    const lost = await dead('lost');
    const gone = await dead('gone');
    const handled = await things.make('handled');
    await eventually(async () => expect((await app.outbox({ id: handled }))[0]?.status).toBe('consumed'));
    const idsOf = async (query: string) => (await list(query)).events.map(({ id }) => id);
    expect(await idsOf('status=dead')).toEqual([gone, lost]);
    expect(await idsOf('status=dead&type=thing.made&key=lost')).toEqual([lost]);
    expect(await idsOf('needPerson=true')).toEqual([gone, lost]);
    expect(await idsOf('key=handled&olderThan=3600')).toEqual([]);
    expect(await idsOf('key=handled&olderThan=0')).toEqual([handled]);
    const { body } = await reader.get<{
      groups: { fingerprint: string; types: string[]; example: { eventId: string } }[];
    }>('failures?side=events');
    const group = body.groups.find(({ example }) => example.eventId === gone);
    expect(group).toMatchObject({ types: ['thing.made'] });
    expect(await idsOf(`fingerprint=${group!.fingerprint}`)).toEqual([gone]);
    const { body: handlings } = await reader.get<{ groups: { fingerprint: string; count: number }[] }>(
      'failures?side=handlings',
    );
    const [first] = handlings.groups;
    const { body: page } = await reader.get<{ handlings: { eventId: string; status: string }[] }>(
      `handlings?fingerprint=${first!.fingerprint}`,
    );
    expect(page.handlings).toHaveLength(first!.count);
    expect(page.handlings[0]).toMatchObject({ status: 'rejected', consumer: 'shop', type: 'thing.made' });
    expect(page.handlings[0]).not.toHaveProperty('body');
  });

  it.each([
    ['events?stauts=dead', 'parameter "stauts" is unknown; did you mean "status"?'],
    ['events?status=lost', 'status "lost" is unknown'],
    ['events?needPerson=yes', 'needPerson must be true'],
    ['events?limit=0', 'limit must be a whole number from 1 to 200'],
    ['events?before=1', 'before must be the next of the page before'],
    ['events?olderThan=-1', 'olderThan must be a whole number of seconds'],
    ['events?status=dead&status=pending', 'status must be given once'],
    ['events?__proto__=1', 'parameter "__proto__" is unknown'],
    ['events?fingerprint=xyz', 'fingerprint must be the fingerprint of a group'],
    ['events?status=pending&archived=true', 'fingerprint and archived are of dead events'],
    ['events?source=elsewhere', 'source "elsewhere" is unknown'],
    ['events?key=%00', 'key holds a NUL character'],
    ['handlings?status=handled', 'status handled needs an eventId or a key'],
    ['handlings?before=abc', 'before must be the cursor'],
    ['journey', 'of must be a key or an event id'],
    ['failures?side=event', 'did you mean "events"?'],
    ['audit?before=x', 'before must be the next'],
  ])('refuse %s by name', async (route, problem) => {
    const { status, body } = await reader.get<Refused>(route);
    expect(status).toBe(400);
    expect(body).toEqual({ code: 'INVALID_OPTIONS', message: expect.stringContaining(problem) });
  });

  it('say that there is no such event', async () => {
    for (const id of ['01900000-0000-7000-8000-000000000000', 'no-id', '%3Cscript%3E']) {
      const { status, body } = await reader.get<Refused>(`events/${id}`);
      expect({ status, code: body.code }).toEqual({ status: 404, code: 'EVENT_NOT_FOUND' });
    }
  });

  it('carry what anybody may have written, as valid and bounded JSON', async () => {
    const id = await dead('<script>alert(1)</script>');
    const reason = `<img src=x onerror=alert(1)>\u001b[31m\u202e${'x'.repeat(1_000_000)}`;
    await app.database.update('outbox', { id }, { reason });
    await app.database.update('outbox', { id }, { headers: JSON.stringify({ ['__proto__']: 'evil', 'x-a': '<b>' }) });
    const { headers, body } = await reader.get<{ key: string; reason: string; headers: object }>(`events/${id}`);
    expect(headers.get('content-type')).toContain('application/json');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(body.key).toBe('<script>alert(1)</script>');
    expect(body.reason.length).toBe(2000);
    expect(Object.entries(body.headers)).toEqual(
      expect.arrayContaining([
        ['__proto__', 'evil'],
        ['x-a', '<b>'],
      ]),
    );
    expect((await list(`key=${encodeURIComponent('<script>alert(1)</script>')}`)).events).toHaveLength(1);
  });
});

describe('what redact lets through', () => {
  const shown = { redact: undefined as undefined | ((payload: unknown, event: unknown) => unknown) };
  let app: TestApp;
  let id: string;
  beforeAll(async () => {
    app = await startConsoleApp({
      console: { redact: (payload, event) => (shown.redact ? shown.redact(payload, event) : payload) },
    });
    id = await app.get(Things).make('red');
  });
  afterAll(() => app.dispose());

  async function detail(name = 'reader'): Promise<unknown> {
    const { body } = await new Person(app, name).get<{ payload: unknown; isRedacted: boolean }>(`events/${id}`);
    return { payload: body.payload, isRedacted: body.isRedacted };
  }

  it('is all without it, and is said to be', async () => {
    expect(await detail()).toEqual({ payload: { name: 'red', secret: 'hunter2' }, isRedacted: false });
  });

  it('depends on the event and on who looks', async () => {
    shown.redact = (payload, event) => ({ ...(payload as object), secret: JSON.stringify(event) });
    const event = { eventId: id, type: 'thing.made', key: 'red' };
    for (const [name, role] of [
      ['reader', 'read'],
      ['anna', 'act'],
    ] as const) {
      expect(await detail(name)).toEqual({
        payload: { name: 'red', secret: JSON.stringify({ ...event, role }) },
        isRedacted: true,
      });
    }
  });

  it('is also what it changes in place, in a journey too', async () => {
    shown.redact = (payload) => {
      (payload as { secret: string }).secret = '***';
      return payload;
    };
    expect(await detail()).toEqual({ payload: { name: 'red', secret: '***' }, isRedacted: true });
    const { body } = await new Person(app, 'reader').get(`journey?of=red`);
    expect(JSON.stringify(body)).not.toContain('hunter2');
    expect(body).toMatchObject({ events: [{ id, payload: { secret: '***' } }], unread: [] });
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['returns a promise', async (payload: unknown) => payload],
    ['returns nothing', () => undefined],
    ['returns what has no JSON', () => ({ big: 1n })],
  ])('is nothing when it %s', async (_, redact) => {
    shown.redact = redact;
    expect(await detail()).toEqual({ payload: null, isRedacted: true });
  });
});
