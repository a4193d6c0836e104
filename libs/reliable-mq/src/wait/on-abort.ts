const listeners = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls a function when the signal is aborted; at once when it is already. For signals that live as long as the process: thousands of
 * short-lived listeners share one of the signal's own, whose registration is slow.
 * @returns removes it
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  let all = listeners.get(signal);
  if (!all) {
    const created = new Set<() => void>();
    signal.addEventListener('abort', () => created.forEach((each) => each()), { once: true });
    listeners.set(signal, (all = created));
  }
  const own = (): void => listener();
  all.add(own);
  return () => all.delete(own);
}
