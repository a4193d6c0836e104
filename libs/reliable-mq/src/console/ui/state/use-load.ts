import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ConsoleProblem } from './client';

export interface Loaded<T> {
  /** The latest answer; it stays when a later question fails. */
  readonly data: T | undefined;
  readonly problem: ConsoleProblem | undefined;
  readonly isLoading: boolean;
  readonly reload: () => void;
}

/**
 * Asks when `key` changes, and every `everyMs` while the tab is visible; one question at a time.
 *
 * @param everyMs undefined: once
 */
export function useLoad<T>(key: string, ask: (signal: AbortSignal) => Promise<T>, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ key: string; data?: T; problem?: ConsoleProblem }>({ key });
  const [round, setRound] = useState(0);
  const latestAsk = useRef(ask);
  latestAsk.current = ask;

  useEffect(() => {
    const abort = new AbortController();
    let timer: number | undefined;
    let asking = false;

    const askNow = async (): Promise<void> => {
      if (asking) return;
      asking = true;
      clearTimeout(timer);
      try {
        const data = await latestAsk.current(abort.signal);
        if (!abort.signal.aborted) setState({ key, data });
      } catch (error) {
        if (!abort.signal.aborted)
          setState((before) => ({ ...(before.key === key ? before : { key }), problem: asProblem(error) }));
      }
      asking = false;
      if (everyMs !== undefined && !abort.signal.aborted && !document.hidden)
        timer = setTimeout(() => void askNow(), everyMs);
    };
    const onVisibility = (): void => {
      clearTimeout(timer);
      if (everyMs !== undefined && !document.hidden) void askNow();
    };

    void askNow();
    document.addEventListener('visibilitychange', onVisibility);
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisibility);
    };
  }, [key, everyMs, round]);

  const reload = useCallback(() => setRound((before) => before + 1), []);
  const isOfKey = state.key === key;
  const data = isOfKey ? state.data : undefined;
  const problem = isOfKey ? state.problem : undefined;
  return { data, problem, isLoading: data === undefined && problem === undefined, reload };
}

export function asProblem(error: unknown): ConsoleProblem {
  if (error instanceof ConsoleProblem) return error;
  return new ConsoleProblem(0, 'PAGE', error instanceof Error ? error.message : String(error));
}
