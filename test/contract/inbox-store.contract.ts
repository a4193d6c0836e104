import { describeInsertHandled } from './inbox-store/insert-handled.contract';
import { describeAdopt } from './inbox-store/adopt.contract';
import { describeInsertFailure } from './inbox-store/insert-failure.contract';
import { describeClaim } from './inbox-store/claim.contract';
import { describeSettle } from './inbox-store/settle.contract';
import { describeStart } from './inbox-store/start.contract';
import { describeWaiting } from './inbox-store/waiting.contract';
import { describePark } from './inbox-store/park.contract';
import { describePrune } from './inbox-store/prune.contract';
import { describeStrangeMessages } from './inbox-store/strange-messages.contract';
import type { InboxHarness } from './inbox-store/inbox-fixture';

/** What every InboxStore promises. */
export function describeInboxStore(name: string, create: () => Promise<InboxHarness>): void {
  describe(`the inbox store on ${name}`, () => {
    let opened: InboxHarness;
    const harness = (): InboxHarness => opened;

    beforeAll(async () => {
      opened = await create();
    });
    beforeEach(() => opened.clear());
    afterAll(() => opened.dispose());

    describeInsertHandled(harness);
    describeAdopt(harness);
    describeInsertFailure(harness);
    describeClaim(harness);
    describeSettle(harness);
    describeStart(harness);
    describeWaiting(harness);
    describePark(harness);
    describePrune(harness);
    describeStrangeMessages(harness);
  });
}
