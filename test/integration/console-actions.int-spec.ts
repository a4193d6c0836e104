import { ReliableEvent } from 'nestjs-reliable-mq';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import type { TestApp } from '../support/test-app';
import { type Answer, Person, startConsoleApp, Things } from './console-harness';

interface Refused {
  readonly code: string;
  readonly message: string;
}
interface Run {
  readonly runId: string;
  readonly state: string;
  readonly matched: number;
  readonly done: number;
  readonly by: string;
}
interface AuditRecord {
  readonly operation: string;
  readonly runId: string;
  readonly by: string;
  readonly why: string | null;
  readonly filter: unknown;
  readonly items: readonly unknown[];
  readonly count: number;
}

@ReliableEvent({ type: 'thing.foreign' })
class Foreign {}

describeEachDatabase("the console's actions", (database) => {
  let app: TestApp;
  let anna: Person;
  let things: Things;
  let names = 0;

  beforeAll(async () => {
    app = await startConsoleApp({ database, reliableMq: { record: { maxPayloadBytes: 4000 } } });
    anna = new Person(app, 'anna');
    things = app.get(Things);
  });
  afterAll(() => app.dispose());

  /** Events that nobody takes, with one key, and whose compensation has been looked for. */
  async function dead(count: number): Promise<{ readonly key: string; readonly ids: readonly string[] }> {
    const key = `thing-${(names += 1)}`;
    things.refused.add(key);
    const ids: string[] = [];
    for (let made = 0; made < count; made += 1) ids.push(await things.make(key));
    for (const id of ids) {
      await eventually(async () =>
        expect((await app.outbox({ id }))[0]).toMatchObject({ status: 'dead', due_at: null }),
      );
    }
    return { key, ids };
  }

  const status = async (id: string) => (await app.outbox({ id }))[0]?.status;
  const audit = async () => (await anna.get<{ records: AuditRecord[] }>('audit')).body.records;
  const redrive = (more: object): Promise<Answer<Run & Refused>> =>
    anna.post('operations', { operation: 'redrive', source: 'default', ...more });
  const runOf = async (runId: string) =>
    (await anna.get<{ runs: Run[] }>('runs')).body.runs.find((run) => run.runId === runId);
  const ended = (runId: string) =>
    eventually(async () => {
      const run = await runOf(runId);
      expect(run?.state).not.toBe('running');
      return run;
    });

  it('say first what they would do, and do nothing', async () => {
    const { key, ids } = await dead(3);
    const before = await audit();
    const { status: code, body } = await redrive({ filter: { key }, dryRun: true });
    expect(code).toBe(200);
    expect(body).toEqual({ matched: 3, first: ids });
    expect(await status(ids[0]!)).toBe('dead');
    expect(await audit()).toEqual(before);
  });

  it('go on after the answer, and leave their rows in the audit under the run', async () => {
    const { key, ids } = await dead(2);
    things.refused.delete(key);
    const { status: code, body } = await redrive({ filter: { key }, why: 'stock is back' });
    expect(code).toBe(202);
    expect(body).toMatchObject({ operation: 'redrive', source: 'default', by: 'anna', state: 'running' });
    expect(await ended(body.runId)).toMatchObject({ state: 'done', matched: 2, done: 2 });
    const [record] = await audit();
    expect(record).toMatchObject({
      source: 'default',
      operation: 'redrive',
      runId: body.runId,
      by: 'anna',
      why: 'stock is back',
      filter: { key },
      count: 2,
    });
    expect([...record!.items].sort()).toEqual([...ids].sort());
    for (const id of ids) await eventually(async () => expect(await status(id)).toBe('consumed'));
  });

  it('go on at a rate, say how far they are, and can be stopped', async () => {
    const { key, ids } = await dead(3);
    const { body } = await anna.post<Run>('operations', {
      operation: 'archive',
      source: 'default',
      filter: { key },
      perSecond: 0.01,
    });
    await eventually(async () =>
      expect(await runOf(body.runId)).toMatchObject({ state: 'running', matched: 1, done: 1 }),
    );
    const stopped = await anna.post<Run>(`runs/${body.runId}/stop`, {});
    expect(stopped.body).toMatchObject({ runId: body.runId, state: 'stopped', done: 1 });
    expect((await audit())[0]).toMatchObject({ operation: 'archive', items: [ids[0]], count: 1 });
  });

  it('are a few at once', async () => {
    const { key } = await dead(2);
    const request = { operation: 'archive', source: 'default', filter: { key, archived: true }, perSecond: 0.01 };
    const { ids } = await dead(8);
    const started: Answer<Run & Refused>[] = [];
    for (let run = 0; run < 3; run += 1) {
      started.push(
        await anna.post('operations', { ...request, filter: undefined, ids: ids.slice(2 * run, 2 * run + 2) }),
      );
    }
    expect(started.map((each) => each.status)).toEqual([202, 202, 202]);
    const refused = await anna.post<Refused>('operations', request);
    expect({ status: refused.status, code: refused.body.code }).toEqual({ status: 429, code: 'TOO_MANY' });
    for (const { body } of started) await anna.post(`runs/${body.runId}/stop`, {});
    expect((await anna.post<Refused>('runs/nothing/stop', {})).body.code).toBe('RUN_NOT_FOUND');
  });

  it('retry handlings, by their keys', async () => {
    const { key, ids } = await dead(1);
    things.refused.delete(key);
    const request = { operation: 'retry', source: 'default', keys: [{ eventId: ids[0], consumer: 'shop' }] };
    const { body } = await anna.post<Run>('operations', request);
    expect(await ended(body.runId)).toMatchObject({ state: 'done', done: 1 });
    await eventually(() => expect(things.handled).toContain(key));
  });

  it.each([
    [{ operation: 'delete', ids: [] }, 'operation "delete" is unknown'],
    [{ operation: 'redrive' }, 'Say exactly one of ids, keys and filter.'],
    [{ operation: 'redrive', ids: [], filter: {} }, 'Say exactly one of ids, keys and filter.'],
    [{ operation: 'redrive', keys: [] }, 'redrive takes ids or a filter, and no keys.'],
    [{ operation: 'redrive', ids: ['x'] }, 'eventIds holds what is no event id'],
    [{ operation: 'redrive', filter: { typ: 'a' } }, 'filter "typ" is unknown; did you mean "type"?'],
    [{ operation: 'redrive', filter: { ids: [] } }, 'ids and keys stand beside the filter'],
    [{ operation: 'redrive', filter: {}, dryrun: true }, 'property "dryrun" is unknown; did you mean "dryRun"?'],
    [{ operation: 'redrive', filter: {}, perSecond: 0 }, 'perSecond must be a number above 0'],
    [{ operation: 'redrive', filter: {}, dryRun: 'no' }, 'dryRun must be true or false'],
    [{ operation: 'redrive', filter: {}, source: 'other' }, 'source "other" is unknown'],
    [{ operation: 'redrive', filter: {}, why: 'x'.repeat(2001) }, 'why has more than 2000 characters'],
  ])('refuse %j by name', async (request, problem) => {
    const { status: code, body } = await anna.post<Refused>('operations', { source: 'default', ...request });
    expect(code).toBe(400);
    expect(body).toEqual({ code: 'INVALID_OPTIONS', message: expect.stringContaining(problem) });
  });

  it('pause a queue, which then waits, and resume it', async () => {
    const queue = { source: 'default', consumer: 'shop', type: 'thing.made' };
    expect((await anna.post('queues/pause', { ...queue, why: 'slow' })).body).toEqual({ changed: true });
    expect((await anna.post('queues/pause', queue)).body).toEqual({ changed: false });
    await eventually(async () => {
      const { body } = await anna.get<{ queues: { name: string }[] }>('queues');
      expect(body.queues).toContainEqual(
        expect.objectContaining({
          name: 'shop.thing.made',
          source: 'default',
          isOwn: true,
          consumers: 0,
          paused: { since: expect.any(String), by: 'anna', why: 'slow' },
        }),
      );
    });
    await things.make('waits');
    expect((await anna.post('queues/resume', queue)).body).toEqual({ changed: true });
    await eventually(() => expect(things.handled).toContain('waits'));
    expect((await audit()).slice(0, 2).map(({ operation, by }) => [operation, by])).toEqual([
      ['resume', 'anna'],
      ['pause', 'anna'],
    ]);
  });

  describe('edit and redrive', () => {
    const edit = (id: string, more: object = {}): Promise<Answer<{ eventId: string } & Refused>> =>
      anna.post(`events/${id}/edit-and-redrive`, {
        source: 'default',
        payload: { name: 'mended', secret: 's' },
        why: 'wrong name',
        ...more,
      });

    it('records a new event in the place of the dead one, which is archived', async () => {
      const { key, ids } = await dead(1);
      const [id = ''] = ids;
      const { status: code, body } = await edit(id);
      expect({ code, body }).toEqual({ code: 200, body: { eventId: expect.any(String) } });
      await eventually(async () => expect(await status(body.eventId)).toBe('consumed'));
      expect(things.handled).toContain('mended');
      const [made] = await app.outbox({ id: body.eventId });
      expect(made).toMatchObject({
        type: 'thing.made',
        version: 1,
        event_key: key,
        causation_id: id,
        consumers: ['shop'],
        payload: JSON.stringify({ name: 'mended', secret: 's' }),
      });
      const { body: old } = await anna.get<{ status: string; archivedAt: string | null; dueAt: string | null }>(
        `events/${id}`,
      );
      expect(old).toMatchObject({ status: 'dead', archivedAt: expect.any(String), dueAt: null });
      expect((await audit())[0]).toMatchObject({
        operation: 'edit',
        by: 'anna',
        why: 'wrong name',
        items: [{ eventId: id, replacedBy: body.eventId }],
        count: 1,
      });
      const again = await edit(id);
      expect(again).toMatchObject({ status: 409, body: { code: 'EVENT_NOT_DEAD' } });
      expect(again.body.message).toContain('archived: somebody has dealt with it');
    });

    it('refuses what the class of the event refuses, and changes nothing', async () => {
      const [id = ''] = (await dead(1)).ids;
      for (const payload of [{ name: 1 }, null, 'text', {}]) {
        const { status: code, body } = await edit(id, { payload });
        expect({ code, problem: body.code }).toEqual({ code: 400, problem: 'INVALID_EVENT' });
      }
      const large = await edit(id, { payload: { name: 'x'.repeat(5000), secret: '' } });
      expect(large).toMatchObject({ status: 413, body: { code: 'PAYLOAD_TOO_LARGE' } });
      expect((await edit(id, { why: ' ' })).body).toEqual({
        code: 'INVALID_OPTIONS',
        message: expect.stringContaining('why must say why'),
      });
      expect(await status(id)).toBe('dead');
      expect((await app.outbox()).filter(({ causation_id }) => causation_id === id)).toEqual([]);
    });

    it('refuses an event of a class that is not known here, and one that is not dead or not there', async () => {
      const [id = ''] = (await dead(1)).ids;
      await app.database.update('outbox', { id }, { type: Reflect.get(Foreign, 'name') as string });
      const unknown = await edit(id);
      expect(unknown).toMatchObject({ status: 400, body: { code: 'INVALID_EVENT' } });
      expect(unknown.body.message).toContain('is no event class of this application');
      const fine = await things.make('fine');
      await eventually(async () => expect(await status(fine)).toBe('consumed'));
      expect((await edit(fine)).body).toMatchObject({ code: 'EVENT_NOT_DEAD' });
      expect((await edit('nothing')).status).toBe(404);
    });

    it('refuses an event whose business was undone, unless it is told to', async () => {
      const [id = ''] = (await dead(1)).ids;
      await app.database.update('outbox', { id }, { compensated_at: { inMs: -1000 } });
      const refused = await edit(id);
      expect(refused).toMatchObject({ status: 409, body: { code: 'EVENT_NOT_DEAD' } });
      expect(refused.body.message).toContain('compensated');
      expect((await edit(id, { evenIfCompensated: true })).status).toBe(200);
    });
  });
});

it('an application that stops stops what runs, and leaves the rest as it was', async () => {
  const app = await startConsoleApp();
  const anna = new Person(app, 'anna');
  const things = app.get(Things);
  things.refused.add('lost');
  const ids = [await things.make('lost'), await things.make('lost')];
  for (const id of ids) await eventually(async () => expect((await app.outbox({ id }))[0]?.status).toBe('dead'));
  const request = { operation: 'discard', source: 'default', filter: {}, perSecond: 0.4 };
  expect((await anna.post('operations', request)).status).toBe(202);
  await eventually(async () => expect(await app.outbox()).toHaveLength(1));
  await app.close();
  expect(await app.outbox()).toHaveLength(1);
  await app.dispose();
});
