/**
 * Waits for the promise, but never longer than `ms`: on a half-open connection the broker's answer never comes.
 *
 * @returns whether the promise was fulfilled in time; its rejection counts as not
 */
export async function fulfilledWithin(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([
      promise.then(
        () => true,
        () => false,
      ),
      deadline,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
