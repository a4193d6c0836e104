const { default: Sequencer } = require('@jest/test-sequencer');

// How long a file takes, in milliseconds, where no run before has told: the first that matches.
const GUESSES = [
  [/\.e2e-spec\.ts$/, 60_000],
  [/\/(test\/faults|tools\/servers)\/|\/transport-rabbitmq/, 30_000],
  [/\.int-spec\.ts$/, 5_000],
  [/./, 500],
];

/**
 * The longest files first, in a fresh checkout too: the last file to end is a short one, and no worker waits for another. Jest would
 * go by the files' sizes, and the ones that start processes and servers are among the smallest.
 */
module.exports = class SlowestFirst extends Sequencer {
  time(test) {
    return super.time(test) ?? GUESSES.find(([pattern]) => pattern.test(test.path))?.[1];
  }
};
