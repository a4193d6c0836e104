import type { App } from '../support/processes';
import { eventually } from '../support/eventually';
import { ConsumerField, type InboxRow, stepsOf } from './support/consumer-process';

type IsEnded = (rows: readonly InboxRow[]) => boolean;

/** Restarts the process whenever it has died, as whoever runs it would, until everything is at its end. */
async function superviseUntilQuiet(
  field: ConsumerField,
  isEnded: IsEnded,
  choices: Parameters<ConsumerField['start']>[0] = {},
): Promise<App[]> {
  const apps: App[] = [];
  for (let starts = 1; starts <= 20; starts += 1) {
    const app = await field.start(choices);
    apps.push(app);
    if ((await endedOrDead(field, app, isEnded)) === 'ended') return apps;
    await field.expireLeases();
  }
  throw new Error('the process died 20 times');
}

/** Which comes first: that everything is at its end, or that the process is. */
async function endedOrDead(field: ConsumerField, app: App, isEnded: IsEnded): Promise<'ended' | 'dead'> {
  let dead = false;
  void app.exited.then(() => (dead = true));
  return eventually(async () => {
    if (isEnded(await field.inbox())) return 'ended';
    return dead ? 'dead' : false;
  });
}

function haveEnded(ids: readonly string[]): IsEnded {
  return (rows) => {
    const ended = rows.filter(({ status }) => status === 'handled' || status === 'dead');
    const eventIds = ended.map(({ event_id }) => event_id);
    return ids.every((id) => eventIds.includes(id));
  };
}

describe.each(['no', 'yes'] as const)(
  'a message that kills its process each time, commits shared: %s',
  (SHARE_COMMITS) => {
    let field: ConsumerField;

    beforeEach(async () => {
      field = await ConsumerField.create();
    }, 60_000);
    afterEach(() => field.close());

    it('is dead after three starts that never finished, counted before they began; its innocent neighbours are all handled', async () => {
      await (await field.start()).stop();
      const innocent = Array.from({ length: 4 }, (_, index) => field.publish(`before ${index}`));
      const killer = field.publish('kill');
      innocent.push(...Array.from({ length: 20 }, (_, index) => field.publish(`after ${index}`)));

      const apps = await superviseUntilQuiet(field, haveEnded([killer, ...innocent]), { SHARE_COMMITS });

      const row = await field.row(killer);
      expect(row).toMatchObject({
        status: 'dead',
        reason: 'started 3 times and never finished; it may be killing its process',
        due_in_ms: null,
      });
      await field.receipt(killer, 'dead');
      expect(apps).toHaveLength(4);
      const starts = apps.flatMap(stepsOf).filter(({ what, eventId }) => what === 'handling' && eventId === killer);
      expect(starts).toHaveLength(3);
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
        killers.push(field.publish('kill'));
      }

      await superviseUntilQuiet(field, haveEnded([...killers, ...innocent]), { SHARE_COMMITS });

      for (const id of killers) await expect(field.row(id)).resolves.toMatchObject({ status: 'dead' });
      for (const id of innocent) await expect(field.row(id)).resolves.toMatchObject({ status: 'handled' });
      await expect(field.effects()).resolves.toEqual(Object.fromEntries(innocent.map((id) => [id, 1])));
    }, 240_000);
  },
);

describe('messages that kill their process each time that they are read', () => {
  let field: ConsumerField;

  beforeEach(async () => {
    field = await ConsumerField.create();
  }, 60_000);
  afterEach(() => field.close());

  it('are put aside after three readings that never finished, and take no innocent one with them', async () => {
    await (await field.start()).stop();
    const killers: string[] = [];
    const innocent: string[] = [];
    for (let group = 0; group < 2; group += 1) {
      innocent.push(...Array.from({ length: 6 }, (_, index) => field.publish(`load ${group}.${index}`)));
      killers.push(field.publish('kill when read'));
    }
    innocent.push(...Array.from({ length: 20 }, (_, index) => field.publish(`after ${index}`)));
    const putAside = (rows: readonly InboxRow[]): readonly InboxRow[] =>
      rows.filter(({ reason }) => reason?.startsWith('its payload was read 3 times, and the process ended each time'));
    const isEnded = haveEnded(innocent);

    await superviseUntilQuiet(field, (rows) => isEnded(rows) && putAside(rows).length === killers.length);

    // Their receipts may have died with the process, as any may: the producer asks again.
    await eventually(async () => expect(await field.parkedIds()).toEqual(expect.arrayContaining(killers)));
    for (const id of innocent) await expect(field.row(id)).resolves.toMatchObject({ status: 'handled' });
    await expect(field.effects()).resolves.toEqual(Object.fromEntries(innocent.map((id) => [id, 1])));
    await expect(field.inbox()).resolves.toHaveLength(innocent.length + killers.length);
    await field.drained();
  }, 240_000);
});
