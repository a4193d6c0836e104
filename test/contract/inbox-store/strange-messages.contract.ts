import { randomUUID } from 'node:crypto';
import { LEASE_MS, WAIT_MS, newKey, message, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describeStrangeMessages(harness: () => InboxHarness): void {
  const { store, failing, claimOne } = inboxFixture(harness);

  describe('whatever a stranger sends', () => {
    it.each([
      ['NUL characters', { 'a\u0000b': 'c\u0000d' }],
      ['halves of surrogate pairs', { '\ud800': 'x\udc00', ok: '😀' }],
      ['depth', JSON.parse('{"a":'.repeat(1_000) + '1' + '}'.repeat(1_000)) as object],
      ['width', Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, index]))],
      ['huge texts', { text: 'x'.repeat(1_000_000) }],
      [
        'what JSON has no word for',
        { bytes: Buffer.from([0, 255]), never: Number.NaN, when: new Date(Number.NaN), big: 1n },
      ],
      ['names that mean something', JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as object],
    ])('is stored: properties with %s', async (_, headers) => {
      const key = newKey();
      const stored = message({ properties: { headers } });
      await expect(store().park(key, stored, 'strange')).resolves.toBe(true);
      await expect(harness().row(key)).resolves.toMatchObject({
        properties: { headers: expect.any(Object) as object },
      });
      const adopted = newKey();
      await expect(store().adopt(adopted, stored, { token: randomUUID(), leaseMs: LEASE_MS }, 2)).resolves.toBe(true);
      const failed = newKey();
      const failure = { reason: 'strange', next: { retryInMs: 1 } };
      await expect(store().insertFailure(failed, stored, failure, WAIT_MS)).resolves.toBe(true);
    });

    it.each([
      ['no bytes', Buffer.alloc(0)],
      ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
      ['10 MiB', Buffer.alloc(10 * 1024 * 1024, 0xfe)],
    ])('is stored byte for byte: a body of %s', async (_, body) => {
      const key = newKey();
      await failing(key, 0, { body });
      const { row } = await claimOne();
      expect(row?.body.equals(body)).toBe(true);
    });
  });
}
