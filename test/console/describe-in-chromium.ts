import { found } from './chromium';

/** `describe`, or on a machine where no Chromium can be had `describe.skip`, which says why. */
export const describeInChromium: jest.Describe = 'path' in found ? describe : describe.skip;

if ('missing' in found) process.stderr.write(`Browser tests are skipped, for want of Chromium: ${found.missing}\n`);
