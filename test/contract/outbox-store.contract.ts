import { describeInsert } from './outbox-store/insert.contract';
import { describeClaim } from './outbox-store/claim.contract';
import { describeSettle } from './outbox-store/settle.contract';
import { describeReceipts } from './outbox-store/receipts.contract';
import { describeCompensation } from './outbox-store/compensation.contract';
import { describePrune } from './outbox-store/prune.contract';
import { describeLocks } from './outbox-store/locks.contract';
import type { OutboxHarness } from './outbox-store/outbox-fixture';

/** The rules that every implementation of OutboxStore keeps. */
export function describeOutboxStore(harness: () => OutboxHarness): void {
  afterEach(() => harness().clear());

  describeInsert(harness);
  describeClaim(harness);
  describeSettle(harness);
  describeReceipts(harness);
  describeCompensation(harness);
  describePrune(harness);
  describeLocks(harness);
}
