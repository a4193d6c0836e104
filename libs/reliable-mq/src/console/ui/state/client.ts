import type { Problem } from '../../api';

/** What the server refused, or why it could not be asked. */
export class ConsoleProblem extends Error {
  override readonly name = 'ConsoleProblem';

  /** @param status of HTTP; 0: no answer */
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export interface Client {
  /** @throws ConsoleProblem */
  get<T>(path: string, query?: Readonly<Record<string, string | undefined>>, signal?: AbortSignal): Promise<T>;
  /** @throws ConsoleProblem */
  post<T>(path: string, body?: unknown): Promise<T>;
}

/**
 * @param base URL of the API, with a slash at its end
 * @param csrf the session's, once it is known
 */
export function createClient(base: string, csrf: () => string | undefined, ask: typeof fetch): Client {
  async function call(path: string, init: RequestInit): Promise<unknown> {
    let response: Response;
    try {
      response = await ask(new URL(path, base), { credentials: 'same-origin', cache: 'no-store', ...init });
    } catch (error) {
      throw new ConsoleProblem(0, 'NETWORK', error instanceof Error ? error.message : String(error));
    }
    const body: unknown = await response.json().catch(() => undefined);
    if (response.ok && body !== undefined) return body;
    const { code, message } = problemOf(body);
    throw new ConsoleProblem(response.status, code ?? '', message ?? `HTTP ${response.status}`);
  }

  return {
    get: async <T>(path: string, query = {}, signal?: AbortSignal) => {
      const text = new URLSearchParams(query as Record<string, string>).toString();
      return (await call(text === '' ? path : `${path}?${text}`, { signal: signal ?? null })) as T;
    },
    post: async <T>(path: string, body: unknown = {}) =>
      (await call(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-reliable-mq-csrf': csrf() ?? '' },
        body: JSON.stringify(body),
      })) as T,
  };
}

/** A proxy in front of the service answers with anything. */
function problemOf(body: unknown): Partial<Problem> {
  if (typeof body !== 'object' || body === null) return {};
  const { code, message } = body as Readonly<Record<string, unknown>>;
  return {
    ...(typeof code === 'string' && { code }),
    ...(typeof message === 'string' && { message }),
  };
}
