import { describeBackfill } from './operations-store/backfill.contract';
import { describeChanges } from './operations-store/changes.contract';
import { describeCounts } from './operations-store/counts.contract';
import { describeFailures } from './operations-store/failures.contract';
import { describeLists } from './operations-store/lists.contract';
import type { OperationsHarness } from './operations-store/operations-fixture';

const TABLES = ['outbox', 'inbox', 'audit', 'paused'].map((role) => `reliable_mq_${role}`);

/** What every OperationsStore promises. */
export function describeOperationsStore(name: string, create: () => Promise<OperationsHarness>): void {
  describe(`the operations store on ${name}`, () => {
    let opened: OperationsHarness;
    const harness = (): OperationsHarness => opened;

    beforeAll(async () => {
      opened = await create();
    });
    beforeEach(() => opened.database.empty(...TABLES));
    afterAll(() => opened.dispose());

    describeLists(harness);
    describeChanges(harness);
    describeBackfill(harness);
    describeFailures(harness);
    describeCounts(harness);
  });
}
