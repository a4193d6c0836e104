/** The promise's result, or the error when it takes longer. The promise itself goes on, and its later failure is ignored. */
export async function within<T>(timeoutMs: number, work: Promise<T>, onTimeout: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onTimeout()), timeoutMs);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether the work ends, however, within that time. */
export async function finishesWithin(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  const ended = work.then(
    () => true,
    () => true,
  );
  return settlesAs(timeoutMs, ended);
}

/** Whether the work is fulfilled within that time; its rejection counts as not. */
export async function fulfilledWithin(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  const fulfilled = work.then(
    () => true,
    () => false,
  );
  return settlesAs(timeoutMs, fulfilled);
}

async function settlesAs(timeoutMs: number, work: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
