import { randomUUID } from 'node:crypto';
import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import { auditOf, HOUR_MS, operationsFixture, type OperationsHarness } from './operations-fixture';

export function describeChanges(harness: () => OperationsHarness): void {
  const { operations, record, recordOne, report, claimDead, dead, handlingOf, fail, handle } =
    operationsFixture(harness);

  describe('sendAgain', () => {
    it('makes published and consumed events due for one consumer, as if it had reported nothing', async () => {
      const consumers = ['stock', 'mail'];
      const [consumed, waiting] = (await record(2, { consumers })) as [string, string];
      await report([consumed, waiting], 'stock', 'handled');
      await report([consumed], 'mail', 'handled');
      await harness().database.makeDue('outbox');
      const all = [consumed, waiting].sort();
      expect([...(await operations().sendAgain([...all, newEventId()], 'stock', auditOf('reconcile')))].sort()).toEqual(
        all,
      );
      for (const id of all) {
        const event = await operations().get(id);
        expect(event).toMatchObject({
          status: 'published',
          attempts: 0,
          endedAt: null,
          dueAt: expect.any(Date) as Date,
        });
        expect(event?.outcomes.map(({ consumer }) => consumer)).toEqual(id === consumed ? ['mail'] : []);
      }
      expect(await operations().listAudit(undefined, 10)).toMatchObject([{ operation: 'reconcile', count: 2 }]);
      await report(all, 'stock', 'handled');
      expect(await operations().get(consumed)).toMatchObject({ status: 'consumed', dueAt: null });
    });

    it('leaves alone what is pending or dead, expects no receipts, or is claimed', async () => {
      const pending = await recordOne();
      const dying = await dead(1, false);
      const silent = await recordOne({ confirm: false });
      const claimed = await recordOne({ consumers: ['stock', 'mail'] });
      await report([claimed], 'stock', 'handled');
      expect(await operations().sendAgain([pending, silent, claimed, ...dying], 'stock', auditOf('reconcile'))).toEqual(
        [],
      );
      expect(await operations().listAudit(undefined, 10)).toEqual([]);
    });
  });

  describe('replace', () => {
    const by = () => ({ id: newEventId(), payload: '{"name":"méndéd \\u0027"}' });

    it('records a copy with another payload, due at once, and archives the dead event', async () => {
      const [id] = (await dead(1, false)) as [string];
      const old = await operations().get(id);
      const made = by();
      expect(await operations().replace(id, made, false, auditOf('edit'))).toBe(true);
      const { type, version, key, consumers, headers } = old!;
      expect(await operations().get(made.id)).toMatchObject({
        ...{ type, version, key, consumers, headers },
        payload: JSON.parse(made.payload) as unknown,
        status: 'pending',
        attempts: 0,
        redrives: 0,
        reason: null,
        history: [],
        outcomes: [],
        causationId: id,
        dueAt: expect.any(Date) as Date,
        createdAt: expect.any(Date) as Date,
      });
      expect(await operations().get(id)).toMatchObject({
        status: 'dead',
        payload: old!.payload,
        archivedAt: expect.any(Date) as Date,
        dueAt: null,
      });
      expect(await operations().listAudit(undefined, 10)).toMatchObject([
        { operation: 'edit', items: [{ eventId: id, replacedBy: made.id }], count: 1 },
      ]);
      const { events } = await harness().outbox.claim('pending', { rows: 10, bytes: 1e6 }, 1000, randomUUID());
      expect(events).toMatchObject([{ id: made.id, payload: made.payload, causationId: id, attempts: 1 }]);
      await harness().database.makeDue('outbox');
      expect((await harness().outbox.claim('dead', { rows: 10, bytes: 1e6 }, 1000, randomUUID())).events).toEqual([]);
    });

    it('once, whoever asks at the same time', async () => {
      const [id] = (await dead(1, false)) as [string];
      const asked = Array.from({ length: 4 }, () => operations().replace(id, by(), false, auditOf('edit')));
      expect((await Promise.all(asked)).filter(Boolean)).toEqual([true]);
      expect(await operations().causedBy([id], 10)).toHaveLength(1);
    });

    it('leaves alone what is not dead, archived, compensated or being compensated', async () => {
      const [archived, undone, claimed] = (await dead(3, false)) as [string, string, string];
      await operations().archive([archived], auditOf('archive'));
      await harness().database.update('outbox', { id: undone }, { compensated_at: { inMs: -1000 } });
      await harness().database.update('outbox', { id: claimed }, { due_at: { inMs: 0 } });
      await harness().outbox.claim('dead', { rows: 10, bytes: 1e6 }, HOUR_MS, randomUUID());
      const before = await operations().listAudit(undefined, 10);
      for (const id of [archived, undone, claimed, await recordOne(), newEventId()])
        expect(await operations().replace(id, by(), false, auditOf('edit'))).toBe(false);
      expect(await operations().listAudit(undefined, 10)).toEqual(before);
      expect(await operations().causedBy([archived, undone, claimed], 10)).toEqual([]);
      expect(await operations().replace(undone, by(), true, auditOf('edit'))).toBe(true);
    });
  });

  it('handlings are read along their keys, whatever became of them', async () => {
    const keys = [...(await handle(3)), await fail(handlingOf())];
    const first = await operations().handlingsAfter({ eventId: '', consumer: '', type: '' }, 3);
    const rest = await operations().handlingsAfter(first[2]!, 3);
    const found = [...first, ...rest].map(({ eventId }) => eventId);
    expect(found).toEqual(keys.map(({ eventId }) => eventId).sort());
  });

  describe('redrive', () => {
    it('makes dead events pending again, due at once, and leaves out all others', async () => {
      const ids = await dead(3, false);
      const pending = await recordOne();
      expect(new Set(await operations().redrive([...ids, pending, newEventId()], false, auditOf('redrive')))).toEqual(
        new Set(ids),
      );
      for (const id of ids) {
        expect(await operations().get(id)).toMatchObject({
          status: 'pending',
          redrives: 1,
          attempts: 0,
          reason: 'redriven by hand',
          outcomes: [],
          endedAt: null,
          dueAt: expect.any(Date) as Date,
        });
      }
      expect(await operations().redrive(ids, false, auditOf('redrive'))).toEqual([]);
      expect(await operations().redrive([], false, auditOf('redrive'))).toEqual([]);
      const { events } = await harness().outbox.claim('pending', { rows: 10, bytes: 1000 }, HOUR_MS, randomUUID());
      expect(events.map(({ id }) => id)).toEqual(ids);
    });

    it('keeps what consumers have handled, and ends an event that all of them have', async () => {
      const declared = { consumers: ['stock', 'mail'] };
      const [partly, wholly] = (await dead(2, false, declared)) as [string, string];
      await report([partly, wholly], 'mail', 'handled');
      await report([wholly], 'stock', 'handled');
      expect(await operations().redrive([partly, wholly], false, auditOf('redrive'))).toHaveLength(2);
      expect(await operations().get(partly)).toMatchObject({
        status: 'pending',
        outcomes: [{ consumer: 'mail', outcome: 'handled' }],
      });
      expect(await operations().get(wholly)).toMatchObject({
        status: 'consumed',
        reason: null,
        dueAt: null,
        endedAt: expect.any(Date) as Date,
      });
    });

    it('leaves out what was compensated, unless that is asked for', async () => {
      const ids = await dead(2, true);
      expect(await operations().redrive(ids, false, auditOf('redrive'))).toEqual([]);
      expect(await operations().redrive(ids, true, auditOf('redrive'))).toHaveLength(2);
      expect(await operations().get(ids[0] as string)).toMatchObject({ status: 'pending', compensatedAt: null });
    });

    it.each(['redrive', 'discard'] as const)('and %s leave an event alone whose compensation runs', async (what) => {
      const ids = await record(1);
      await report(ids, 'stock', 'dead');
      const token = await claimDead(1);
      const change = (): Promise<readonly string[]> =>
        what === 'redrive'
          ? operations().redrive(ids, false, auditOf('redrive'))
          : operations().discard(ids, auditOf('discard'));
      expect(await change()).toEqual([]);
      // Its transaction holds the row: nobody waits for it.
      await harness().transaction(async (manager) => {
        await harness().outbox.settleCompensated(manager, ids[0] as string, token, true);
        expect(await change()).toEqual([]);
      });
    });

    it('of the same events at once, beside receipts, redrives each once and deadlocks nobody', async () => {
      const ids = await record(40, { consumers: ['stock', 'mail'] });
      for (let round = 0; round < 3; round += 1) {
        const receipts = ids.map((eventId) => ({
          eventId,
          consumer: 'stock',
          outcome: 'dead' as const,
          reason: 'broken',
          retryAfterMs: null,
          redrives: round,
        }));
        await harness().outbox.applyReceipts(receipts);
        const shuffled = (): string[] => ids.toSorted(() => Math.random() - 0.5);
        const [first, second, third] = await Promise.all([
          operations().redrive(shuffled(), false, auditOf('redrive')),
          operations().redrive(shuffled(), false, auditOf('redrive')),
          operations().redrive(shuffled(), false, auditOf('redrive')),
          report(shuffled(), 'other', 'handled'),
        ]);
        expect([...first, ...second, ...third].toSorted()).toEqual(ids);
      }
    });
  });

  it('discard deletes dead events only', async () => {
    const ids = await dead(3, false);
    const pending = await recordOne();
    expect(new Set(await operations().discard([...ids, pending], auditOf('discard')))).toEqual(new Set(ids));
    expect((await operations().list({})).map(({ id }) => id)).toEqual([pending]);
    expect(await operations().discard([], auditOf('discard'))).toEqual([]);
  });

  it('a thousand are redriven, tried again and discarded at once', async () => {
    const ids = await record(1_000);
    await report(ids, 'stock', 'dead');
    expect(await operations().redrive(ids, false, auditOf('redrive'))).toHaveLength(1_000);
    await report(ids, 'stock', 'dead');
    const again = ids.map((eventId) => ({
      eventId,
      consumer: 'stock',
      outcome: 'dead' as const,
      reason: 'broken',
      retryAfterMs: null,
      redrives: 1,
    }));
    await harness().outbox.applyReceipts(again);
    expect(await operations().discard(ids, auditOf('discard'))).toHaveLength(1_000);
  });

  describe('retryInbox', () => {
    it('makes handlings due at once: what is given up with new attempts, what is retried with those it had', async () => {
      const failed = await fail(handlingOf());
      const waiting = await fail(handlingOf(), { waitMs: HOUR_MS });
      const rejected = await fail(handlingOf(), { end: 'rejected' });
      const gone = await fail(handlingOf(), { end: 'dead' });
      const [handled] = await handle(1);
      const keys = [failed, waiting, rejected, gone];
      const retried = await operations().retryInbox([...keys, handled ?? handlingOf(), handlingOf()], auditOf('retry'));
      expect(retried).toHaveLength(4);
      expect(retried).toEqual(expect.arrayContaining(keys));
      const rows = new Map((await operations().listInbox({})).map((row) => [row.eventId, row]));
      expect(rows.get(failed.eventId)).toMatchObject({ status: 'failed', attempts: 1 });
      expect(rows.get(waiting.eventId)).toMatchObject({ status: 'waiting', attempts: 0 });
      for (const { eventId } of [rejected, gone])
        expect(rows.get(eventId)).toMatchObject({ status: 'failed', attempts: 0, endedAt: null });
      const queue = { ...handlingOf(), versions: [1], leaseMs: HOUR_MS, waitMs: HOUR_MS, limit: 10 };
      expect(await harness().inbox.claim([queue], 10, randomUUID(), 'others')).toHaveLength(4);
    });

    it('takes every type of an id where none is named, and says the same of each once', async () => {
      const created = await fail(handlingOf(), { end: 'dead' });
      const paid = await fail({ ...created, type: 'order.paid' }, { end: 'dead' });
      const { eventId, consumer } = created;
      expect(await operations().retryInbox([paid, paid], auditOf('retry'))).toEqual([paid]);
      expect(await operations().retryInbox([{ eventId, consumer }, paid], auditOf('retry'))).toHaveLength(2);
      expect(await operations().retryInbox([{ eventId, consumer: 'mail' }], auditOf('retry'))).toEqual([]);
      expect(await operations().retryInbox([], auditOf('retry'))).toEqual([]);
    });

    it('leaves a handling alone that runs', async () => {
      const key = await fail(handlingOf(), { retryInMs: 0 });
      const queue = { ...key, versions: [1], leaseMs: HOUR_MS, waitMs: HOUR_MS, limit: 1 };
      await harness().inbox.claim([queue], 1, randomUUID(), 'others');
      expect(await operations().retryInbox([key], auditOf('retry'))).toEqual([]);
    });
  });

  it('states are told of what there is', async () => {
    const [undone] = await dead(1, true);
    const pending = await recordOne();
    const states = await operations().eventStates([undone as string, pending, newEventId()]);
    expect(states).toHaveLength(2);
    expect(states).toEqual(
      expect.arrayContaining([
        { id: undone, status: 'dead', isCompensated: true, isArchived: false },
        { id: pending, status: 'pending', isCompensated: false, isArchived: false },
      ]),
    );
    const key = await fail(handlingOf());
    const { eventId, consumer } = key;
    for (const asked of [key, { eventId, consumer }])
      expect(await operations().handlingStates([asked, handlingOf()])).toEqual([{ ...key, status: 'failed' }]);
    expect(await operations().handlingStates([{ ...key, type: 'order.paid' }])).toEqual([]);
  });
}
