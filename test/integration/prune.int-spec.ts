import { eventually } from '../support/eventually';
import { FreeNote, note, NoteService, Producer, remembering, UnconfirmedNote } from './outbox-harness';

describe('Pruning', () => {
  it('deletes ended events in batches when their time is over, and never dead or unfinished ones', async () => {
    const producer = await Producer.create();
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
      await app.query(
        `UPDATE reliable_mq_outbox SET ended_at = ended_at - interval '2 hours',
           id = (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint - 7200000), 12, '0') || substr(replace(id::text, '-', ''), 13))::uuid
         WHERE id <> $1`,
        [recent],
      );
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
