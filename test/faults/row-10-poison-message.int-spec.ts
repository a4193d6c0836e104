import { describeEachDatabase } from '../support/each-database';
import type { App } from '../support/processes';
import { eventually } from '../support/eventually';
import { ConsumerField, stepsOf } from './support/consumer-process';

const KILLERS = [
  { text: 'kill', IN_BATCHES: 'no', startsOfHandler: 3 },
  { text: 'kill', IN_BATCHES: 'yes', startsOfHandler: 3 },
  { text: 'kill when read', IN_BATCHES: 'no', startsOfHandler: 0 },
] as const;

describeEachDatabase(
  'a message that kills its process each time',
  (database) => {
    describe.each(KILLERS)('($text; in batches: $IN_BATCHES)', ({ text, IN_BATCHES, startsOfHandler }) => {
      let field: ConsumerField;

      beforeEach(async () => {
        field = await ConsumerField.on(database);
      }, 60_000);
      afterEach(() => field.close());

      /** Restarts the process whenever it has died, as whoever runs it would, until everything is at its end. */
      async function superviseUntilQuiet(ids: readonly string[]): Promise<App[]> {
        const apps: App[] = [];
        for (let starts = 1; starts <= 20; starts += 1) {
          const app = await field.start({ IN_BATCHES });
          apps.push(app);
          if ((await endedOrDead(app, ids)) === 'ended') return apps;
          await field.expireLeases();
        }
        throw new Error('the process died 20 times');
      }

      /** Which comes first: that all these events are at their end, or that the process is. */
      async function endedOrDead(app: App, ids: readonly string[]): Promise<'ended' | 'dead'> {
        let dead = false;
        void app.exited.then(() => (dead = true));
        return eventually(async () => {
          const rows = await field.inbox();
          const ended = rows.filter(({ status }) => status === 'handled' || status === 'dead');
          const eventIds = ended.map(({ event_id }) => event_id);
          if (ids.every((id) => eventIds.includes(id))) return 'ended';
          if (dead) return 'dead';
          expect(eventIds).toEqual(expect.arrayContaining([...ids]));
          return false;
        });
      }

      it('is dead after three starts that never finished, counted before they began; its innocent neighbours are all handled', async () => {
        await (await field.start()).stop();
        const innocent = Array.from({ length: 4 }, (_, index) => field.publish(`before ${index}`));
        const killer = field.publish(text);
        innocent.push(...Array.from({ length: 20 }, (_, index) => field.publish(`after ${index}`)));

        const apps = await superviseUntilQuiet([killer, ...innocent]);

        const row = await field.row(killer);
        expect(row).toMatchObject({
          status: 'dead',
          reason: 'started 3 times and never finished; it may be killing its process',
          due_in_ms: null,
        });
        await field.receipt(killer, 'dead');
        expect(apps).toHaveLength(4);
        const starts = apps.flatMap(stepsOf).filter(({ what, eventId }) => what === 'handling' && eventId === killer);
        expect(starts).toHaveLength(startsOfHandler);
        for (const id of innocent) await expect(field.row(id)).resolves.toMatchObject({ status: 'handled' });
        await expect(field.effects()).resolves.toEqual(Object.fromEntries(innocent.map((id) => [id, 1])));
        await field.drained();
      }, 180_000);

      it('takes no innocent one with it, not even when there are three of its kind', async () => {
        await (await field.start()).stop();
        const killers: string[] = [];
        const innocent: string[] = [];
        for (let group = 0; group < 3; group += 1) {
          innocent.push(...Array.from({ length: 6 }, (_, index) => field.publish(`load ${group}.${index}`)));
          killers.push(field.publish(text));
        }

        await superviseUntilQuiet([...killers, ...innocent]);

        for (const id of killers) await expect(field.row(id)).resolves.toMatchObject({ status: 'dead' });
        for (const id of innocent) await expect(field.row(id)).resolves.toMatchObject({ status: 'handled' });
        await expect(field.effects()).resolves.toEqual(Object.fromEntries(innocent.map((id) => [id, 1])));
      }, 240_000);
    });
  },
  'on demand',
);

describeEachDatabase(
  'a slow message that has lost its process twice, and runs alone',
  (database) => {
    let field: ConsumerField;

    beforeEach(async () => {
      field = await ConsumerField.on(database);
    }, 60_000);
    afterEach(() => field.close());

    const handling = (app: App, id: string): Promise<void> =>
      eventually(
        () => expect(stepsOf(app).filter(({ what, eventId }) => what === 'handling' && eventId === id)).toHaveLength(1),
        { deadlineMs: 60_000 },
      );

    it('is not taken along by a fresh message that kills when it is read', async () => {
      await (await field.start()).stop();
      const innocent = field.publish('sleep 3000');
      for (let times = 0; times < 2; times += 1) {
        const app = await field.start();
        await handling(app, innocent);
        await app.kill();
        await field.expireLeases();
      }
      const alone = await field.start();
      await handling(alone, innocent);
      const killer = field.publish('kill when read');
      await alone.exited;
      await expect(field.row(innocent)).resolves.toMatchObject({ status: 'handled' });
      await expect(field.row(killer)).resolves.toBeUndefined();
    }, 180_000);
  },
  'on demand',
);
