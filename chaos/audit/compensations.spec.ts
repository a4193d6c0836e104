import { Readable } from 'node:stream';
import { findRepeatedCompensations } from './compensations';

const trace = (...lines: unknown[]): AsyncIterable<string> => Readable.from(lines.map((line) => JSON.stringify(line)));
const compensated = (eventId: string): unknown => [1, 'compensated', { eventId, type: 'order.created' }];

describe('the look for repeated compensations', () => {
  it('accepts attempts that failed, and one that committed', async () => {
    const order1 = trace([1, 'compensationFailed', { eventId: 'a', attempt: 1 }], compensated('b'));
    const order2 = trace([2, 'compensationReturned', { eventId: 'a' }], compensated('a'));
    await expect(findRepeatedCompensations([order1, order2])).resolves.toEqual([]);
  });

  it('reports an event that two instances compensated', async () => {
    const violations = await findRepeatedCompensations([trace(compensated('a')), trace(compensated('a'))]);
    expect(violations).toEqual([expect.objectContaining({ rule: 'event was compensated twice', eventId: 'a' })]);
  });
});
