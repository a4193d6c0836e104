import { suggest } from './suggest';

describe('suggest', () => {
  const candidates = ['leaseMs', 'windowSize', 'bufferSize', 'bufferBytes', 'maxAttempts', 'backoff'];

  it.each([
    ['leasMs', 'leaseMs'],
    ['LEASEMS', 'leaseMs'],
    ['lease', 'leaseMs'],
    ['bufferByte', 'bufferBytes'],
    ['maxAttempt', 'maxAttempts'],
    ['back_off', 'backoff'],
  ])('finds what %s was meant to be', (word, meant) => {
    expect(suggest(word, candidates)).toBe(meant);
  });

  it.each(['', 'retention', 'x', 'somethingElse'])('finds nothing for %j', (word) => {
    expect(suggest(word, candidates)).toBeUndefined();
  });
});
