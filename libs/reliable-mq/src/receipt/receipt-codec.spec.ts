import { decodeReceipts, encodeReceipts, strongestReceipts, type WireReceipt } from './receipt-codec';

const RECEIPT: WireReceipt = {
  eventId: '01900000-0000-7000-8000-000000000001',
  source: 'default',
  consumer: 'stock',
  outcome: 'retrying',
  reason: 'sold out',
  retryAfterMs: 500,
  redrives: 2,
};

const decoded = (receipt: object): WireReceipt | undefined =>
  decodeReceipts(Buffer.from(JSON.stringify({ receipts: [receipt] }))).receipts[0];

describe('Receipts on the wire', () => {
  it('come out as they went in', () => {
    const receipts = [
      RECEIPT,
      { ...RECEIPT, outcome: 'handled' as const, reason: null, retryAfterMs: null, redrives: 0 },
    ];
    expect(decodeReceipts(encodeReceipts(receipts))).toEqual({ receipts, invalid: 0 });
  });

  it('carry a reason of one thousand characters at most', () => {
    const body = encodeReceipts([{ ...RECEIPT, reason: 'x'.repeat(1_000_000) }]);
    expect(body.length).toBeLessThan(2000);
  });

  it('count what is no receipt, and keep what is one', () => {
    const body = Buffer.from(JSON.stringify({ receipts: [RECEIPT, null, { ...RECEIPT, outcome: 'won' }] }));
    expect(decodeReceipts(body)).toEqual({ receipts: [RECEIPT], invalid: 2 });
  });

  it.each([
    ['a missing event id', { eventId: undefined }],
    ['an event id that is no UUID', { eventId: '1; DROP TABLE' }],
    ['no consumer', { consumer: '' }],
    ['a consumer that is too long', { consumer: 'x'.repeat(101) }],
    ['a consumer with a NUL', { consumer: 'a\u0000' }],
    ['half a surrogate pair as consumer', { consumer: '\ud800' }],
    ['no source', { source: 5 }],
    ['an unknown outcome', { outcome: 'constructor' }],
  ])('with %s are refused', (_what, wrong) => {
    expect(decoded({ ...RECEIPT, ...wrong })).toBeUndefined();
  });

  it.each([
    ['retryAfterMs', -1, 0],
    ['retryAfterMs', 'soon', 0],
    ['retryAfterMs', Number.MAX_VALUE, 30 * 24 * 3_600_000],
    ['redrives', -1, 0],
    ['redrives', 1.5, 0],
    ['redrives', 2 ** 40, 2 ** 31 - 1],
    ['redrives', undefined, 0],
    ['reason', 5, null],
    ['reason', 'a\u0000b', 'ab'],
    ['eventId', RECEIPT.eventId.toUpperCase(), RECEIPT.eventId],
  ])('%s %p is read as %p', (property, value, expected) => {
    expect(decoded({ ...RECEIPT, [property]: value })).toMatchObject({ [property]: expected });
  });
});

describe('strongestReceipts', () => {
  it('keeps one of each event, consumer and redrive: the strongest, and of equal ones the latest', () => {
    const retrying = RECEIPT;
    const rejected = { ...RECEIPT, outcome: 'rejected' as const, reason: 'first' };
    const dead = { ...RECEIPT, outcome: 'dead' as const, reason: 'second' };
    const handled = { ...RECEIPT, outcome: 'handled' as const };
    const other = { ...RECEIPT, consumer: 'mail' };
    const redriven = { ...RECEIPT, redrives: 3 };
    expect(strongestReceipts([handled, retrying, dead])).toEqual([handled]);
    expect(strongestReceipts([rejected, dead, retrying])).toEqual([dead]);
    expect(strongestReceipts([retrying, other, redriven])).toEqual([retrying, other, redriven]);
  });
});
