import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { FreeNote, note, NoteService, Producer, remembering, UnconfirmedNote } from './outbox-harness';

const TWO_HOURS_MS = 7_200_000;

/** The same id, had it been made then. */
function twoHoursBefore(id: string): string {
  const time = (parseInt(id.slice(0, 13).replace('-', ''), 16) - TWO_HOURS_MS).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}${id.slice(13)}`;
}

describeEachDatabase('Pruning', (database) => {
  it('deletes ended events in batches when their time is over, and never dead or unfinished ones', async () => {
    const producer = await Producer.create(database);
    try {
      producer.bind({ 'a.note.free': 'note.free', 'a.note.unconfirmed': 'note.unconfirmed' });
      const { hooks, told } = remembering('jobBatch');
      const app = await producer.start({
        hooks,
        retention: { outboxHours: 1, pruneIntervalMs: 50, pruneBatchSize: 3 },
      });
      const notes = app.get(NoteService);
      const consumed = await Promise.all(Array.from({ length: 7 }, () => notes.record(note(FreeNote))));
      const [recent, dead, published] = await Promise.all(
        [note(FreeNote), note(FreeNote), note(FreeNote)].map((event) => notes.record(event)),
      );
      const unconfirmed = await notes.record(note(UnconfirmedNote));
      producer.sendReceipts(
        ...[...consumed, recent!].map((eventId) => ({ eventId, consumer: 'a', outcome: 'handled' })),
      );
      producer.sendReceipts({ eventId: dead!, consumer: 'a', outcome: 'dead' });
      for (const id of [...consumed, recent!]) await producer.until(id, { status: 'consumed' });
      await producer.until(dead!, { status: 'dead', due_at: null });
      await producer.until(published!, { status: 'published' });
      await producer.until(unconfirmed, { status: 'published', due_at: null });

      // Two hours pass, but for one of them. The place of an id is the time in it.
      for (const { id, ended_at: endedAt } of await producer.rows()) {
        if (id === recent) continue;
        const values = { id: twoHoursBefore(id), ...(endedAt && { ended_at: { inMs: -TWO_HOURS_MS } }) };
        await producer.database.update('outbox', { id }, values);
      }
      await eventually(async () => {
        expect((await producer.rows()).map(({ status }) => status).sort()).toEqual(['consumed', 'dead', 'published']);
      });
      expect(await producer.row(recent!)).toMatchObject({ status: 'consumed' });
      const batches = (told('jobBatch') as { job: string; count: number }[]).filter(
        ({ job }) => job === 'prune-outbox',
      );
      expect(batches.map(({ count }) => count)).toEqual([3, 3, 2]);
    } finally {
      await producer.dispose();
    }
  });
});
