/** What the broker says of a message that it has taken out of a queue by itself. */
export interface Death {
  /** The queue that it was taken out of. */
  readonly queue: string;
  /** In the broker's word: `expired`, `delivery_limit`, `maxlen`, `rejected`. */
  readonly reason: string;
  /** When, in milliseconds since 1970 of the broker's clock; undefined: it does not say. */
  readonly atMs: number | undefined;
  /** What it was published with. */
  readonly routingKey: string | undefined;
  /** For how many milliseconds its publisher wanted it to live. */
  readonly expiration: string | undefined;
}

/** Header in which the broker keeps a message's deaths, the latest one first. */
const DEATHS = 'x-death';

/** @returns undefined for a message that never died, or whose header is not the broker's */
export function latestDeath(headers: Readonly<Record<string, unknown>>): Death | undefined {
  const deaths = headers[DEATHS];
  const [latest] = Array.isArray(deaths) ? (deaths as readonly unknown[]) : [];
  if (typeof latest !== 'object' || latest === null) return undefined;
  const death = latest as Readonly<Record<string, unknown>>;
  const { queue, reason, time, 'routing-keys': routingKeys, 'original-expiration': expiration } = death;
  if (typeof queue !== 'string' || typeof reason !== 'string') return undefined;
  const [routingKey] = Array.isArray(routingKeys) ? (routingKeys as readonly unknown[]) : [];
  return { queue, reason, atMs: milliseconds(time), routingKey: text(routingKey), expiration: text(expiration) };
}

/** As amqplib reads a timestamp, which AMQP has in seconds. */
function milliseconds(time: unknown): number | undefined {
  const { value } = (time ?? {}) as { readonly value?: unknown };
  return typeof value === 'number' ? value * 1000 : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
