import { InvalidOptionsError } from '../../../event/errors';
import type { ReliableMqOptions } from '../../../options/options';
import { resolveOptions } from '../../../options/resolve-options';
import type { ResolvedOptions } from '../../../options/resolved-options';
import { retryHorizonMs } from '../../../options/retry-horizon';
import { duration } from '../format';
import type { Finding } from './finding';

const HOUR_MS = 3_600_000;
const MIB = 1024 * 1024;
/** `max_message_size` that a broker has when nobody has said another one. */
const MESSAGE_LIMIT = { before4: 128 * MIB, from4: 16 * MIB };
/** Connections that publishing, receipts and jobs take beside the handlers. */
const OWN_CONNECTIONS = 5;
/** These stand beside the options. */
const EXTRAS = ['dataSources', 'producer', 'consumer', 'isGlobal'];

/** What only the application knows, as far as it was given. */
export interface Budget {
  /** What `ReliableMqModule.forRoot` is given; undefined: its defaults. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  /** The same of the services whose events are handled here. */
  readonly producers: readonly Readonly<Record<string, unknown>>[];
  readonly handlerTimeoutMs?: number | undefined;
  readonly handlersAtOnce?: number | undefined;
  readonly poolSize?: number | undefined;
  /** The broker's `consumer_timeout`. */
  readonly consumerTimeoutMs: number;
  readonly brokerVersion?: string | undefined;
}

/** What has to be longer, or larger, than what. */
export function checkBudget(budget: Budget): readonly Finding[] {
  const own = resolve(budget.options ?? {}, 'the options');
  if ('findings' in own) return own.findings;
  const { options } = own;
  const timeoutMs = budget.handlerTimeoutMs ?? options.consume.timeoutMs;
  const given = budget.options ? 'the options' : 'the defaults of the options (give --options FILE for your own)';
  return [
    ok(`${given} hold together: lease, confirm timeout, buffers, retention`),
    ...checkHorizon(options, budget.producers),
    compare(
      2 * timeoutMs < budget.consumerTimeoutMs,
      `the broker's consumer_timeout (${duration(budget.consumerTimeoutMs)}; it cannot be read, --consumer-timeout-ms says another) is more than twice what a handler may take (${duration(timeoutMs)})`,
      `A handler may take ${duration(timeoutMs)}, and the broker takes a message away after ${duration(budget.consumerTimeoutMs)}. Lower consume.timeoutMs, or raise consumer_timeout to more than ${2 * timeoutMs} ms.`,
    ),
    checkPool(budget),
    checkMessageSize(options.record.maxPayloadBytes, budget.brokerVersion),
  ];
}

function checkHorizon(options: ResolvedOptions, producers: Budget['producers']): readonly Finding[] {
  const { publish, receipts, consume, retention } = options;
  const own = ok(
    `the inbox remembers for ${retention.inboxHours} h; an event of this service is retried for ${hours(retryHorizonMs(publish, receipts.chaseAfterMs, consume))} at most`,
  );
  if (producers.length === 0)
    return [own, notChecked('how long other producers retry is in their options: --producer-options FILE for each')];
  return [
    own,
    ...producers.flatMap((each, index): readonly Finding[] => {
      const name = typeof each['service'] === 'string' ? each['service'] : `producer ${index + 1}`;
      const theirs = resolve(each, `the options of ${name}`);
      if ('findings' in theirs) return theirs.findings;
      const { options: of } = theirs;
      const horizonMs = retryHorizonMs(of.publish, of.receipts.chaseAfterMs, consume);
      return [
        compare(
          retention.inboxHours * HOUR_MS > horizonMs,
          `${name} retries for ${hours(horizonMs)} at most, the inbox remembers for ${retention.inboxHours} h`,
          `${name} may send an event again after ${hours(horizonMs)}, and the inbox forgets it after ${retention.inboxHours} h: it would be handled twice. Raise retention.inboxHours here.`,
        ),
        compare(
          of.record.maxPayloadBytes < consume.maxMessageBytes,
          `the largest event of ${name} (${of.record.maxPayloadBytes} bytes) is below consume.maxMessageBytes (${consume.maxMessageBytes})`,
          `${name} may record events of ${of.record.maxPayloadBytes} bytes, and ${consume.maxMessageBytes} are taken here: larger ones are parked. Raise consume.maxMessageBytes, or lower its record.maxPayloadBytes.`,
        ),
      ];
    }),
  ];
}

function checkPool({ poolSize, handlersAtOnce }: Budget): Finding {
  if (poolSize === undefined || handlersAtOnce === undefined)
    return notChecked(
      'the pool: give --pool-size (of the DataSource) and --handlers-at-once (the sum of all prefetch)',
    );
  const needed = handlersAtOnce + OWN_CONNECTIONS;
  return compare(
    poolSize >= needed,
    `the pool has ${poolSize} connections, ${needed} are needed`,
    `The pool has ${poolSize} connections, and handlers, publishing and jobs need ${needed}. Raise poolSize, or lower prefetch.`,
  );
}

function checkMessageSize(maxPayloadBytes: number, version: string | undefined): Finding {
  const limit = version !== undefined && Number.parseInt(version, 10) < 4 ? MESSAGE_LIMIT.before4 : MESSAGE_LIMIT.from4;
  const of = version === undefined ? 'RabbitMQ 4' : `RabbitMQ ${version}`;
  return compare(
    maxPayloadBytes < limit,
    `record.maxPayloadBytes (${maxPayloadBytes}) is below the max_message_size that ${of} has by default (${limit}); a changed one cannot be read`,
    `record.maxPayloadBytes is ${maxPayloadBytes}, and ${of} takes messages of ${limit} bytes by default. Lower it, or raise max_message_size at the broker.`,
  );
}

/** Every rule that spans several options is the resolver's. */
function resolve(
  given: Readonly<Record<string, unknown>>,
  whose: string,
): { readonly options: ResolvedOptions } | { readonly findings: readonly Finding[] } {
  const own = Object.fromEntries(Object.entries(given).filter(([name]) => !EXTRAS.includes(name)));
  try {
    const options = { service: 'not-named', ...own, transport: 'memory' } as unknown as ReliableMqOptions;
    return { options: resolveOptions(options) };
  } catch (error) {
    if (!(error instanceof InvalidOptionsError)) throw error;
    return { findings: error.problems.map((problem) => change(`${whose}: ${problem}`)) };
  }
}

function hours(ms: number): string {
  return `${(ms / HOUR_MS).toFixed(1)} h`;
}

function compare(holds: boolean, good: string, bad: string): Finding {
  return holds ? ok(good) : change(bad);
}

function ok(text: string): Finding {
  return { area: 'budget', verdict: 'ok', text };
}

function change(text: string): Finding {
  return { area: 'budget', verdict: 'change', text };
}

function notChecked(text: string): Finding {
  return { area: 'budget', verdict: 'not-checked', text };
}
