import { hrtime } from 'node:process';

/** Milliseconds on a clock that all processes of a machine share. */
export function now(): number {
  return Number(hrtime.bigint()) / 1e6;
}

/** Begins so many actions a second, whether the earlier ones have ended or not; resolves when all have. */
export async function atRate(
  perSecond: number,
  count: number,
  action: (number: number) => Promise<unknown>,
): Promise<void> {
  const from = now();
  const running: Promise<unknown>[] = [];
  for (let number = 0; number < count;) {
    const due = Math.min(count, Math.floor(((now() - from) / 1_000) * perSecond) + 1);
    for (; number < due; number += 1) running.push(action(number));
    const next = from + (number / perSecond) * 1_000;
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, next - now())));
  }
  await Promise.all(running);
}
