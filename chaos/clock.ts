/** Milliseconds of the machine's monotonic clock: the same in every process, whatever its wall clock says. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

export async function pause(ms: number): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, ms));
}

/** @returns false when it was not so within that time */
export async function waitUntil(
  check: () => boolean | Promise<boolean>,
  withinMs: number,
  everyMs = 50,
): Promise<boolean> {
  const end = monotonicMs() + withinMs;
  for (;;) {
    if (await check()) return true;
    if (monotonicMs() >= end) return false;
    await pause(everyMs);
  }
}
