import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { ConsumerField, stepsOf } from './support/consumer-process';

/** Its connections stay open: to the database it is a transaction that is still under way. */
describeEachDatabase(
  'a consumer that freezes before its commit',
  (database) => {
    describe.each(['no', 'yes'] as const)('in batches: %s', (IN_BATCHES) => {
      let field: ConsumerField;

      beforeAll(async () => {
        field = await ConsumerField.on(database);
      }, 60_000);
      afterAll(() => field.close());

      it('holds its messages no longer than a lease; another handles them, and nothing of the frozen one is committed when it goes on', async () => {
        await (await field.start()).stop();
        const ids = [1, 2, 3].map((number) => field.publish(`load ${number}`));
        const frozen = await field.start({
          FREEZE_AT: 'handlerReturned',
          TIMEOUT_MS: '300',
          // The broker shall miss it soon.
          HEARTBEAT_SECONDS: '2',
          IN_BATCHES,
        });
        await eventually(() => expect(stepsOf(frozen).map(({ what }) => what)).toContain('handlerReturned'));

        const other = await field.start({ TIMEOUT_MS: '300', IN_BATCHES });
        for (const id of ids) await field.settled(id, 'handled');
        const said = frozen.log().length;
        process.kill(frozen.pid, 'SIGCONT');
        await eventually(() => expect(frozen.log().length).toBeGreaterThan(said));

        // Whichever of them has it now.
        const after = field.publish('load 4');
        await field.settled(after, 'handled');
        await field.drained();
        await expect(field.effects()).resolves.toEqual(Object.fromEntries([...ids, after].map((id) => [id, 1])));
        for (const app of [frozen, other]) await app.stop();
      }, 120_000);
    });
  },
  'on demand',
);
