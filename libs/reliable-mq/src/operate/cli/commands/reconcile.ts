import { type Difference, type DifferenceKind, reconcile, type ReconcileOptions } from '../../reconcile';
import { type Answer, type Command, UsageError } from '../command';
import { count, moment, table } from '../format';
import { TABLE_OPTIONS, withTables } from '../open-tables';
import { NOTE_OPTIONS, noteOf } from '../selections';
import { ago, HOUR_MS, sinceOf } from '../since';

const DEFAULT_SINCE_HOURS = 72;
const DEFAULT_OUTBOX_HOURS = 72;
const DEFAULT_INBOX_HOURS = 336;
/** That are named; all are counted. */
const SHOWN = 1000;

const KINDS: Readonly<Record<DifferenceKind, string>> = {
  'consumer-lost-it': 'the producer knows that it was handled, the inbox does not know it',
  'receipt-lost': 'it has ended in the inbox, and the producer waits for the receipt',
  'producer-lost-it': 'it was handled, and the outbox does not know it: its business is gone too. Nothing can be sent',
};

export const RECONCILE: Command = {
  name: 'reconcile',
  summary: 'after a restore or a failover: what one side has and the other has lost',
  options: [
    { name: 'producer', value: 'URL', help: 'the database of the outbox' },
    { name: 'consumer', value: 'URL', help: 'the database of the inbox' },
    { name: 'since', value: 'TIME', help: '2026-11-28T09:00Z, or how long ago: 90m, 6h, 3d (default: 3d)' },
    { name: 'repair', help: 'send again what can be; without it nothing is changed' },
    {
      name: 'name',
      value: 'NAME',
      isMany: true,
      help: 'a consumer of this inbox (default: the service that the inbox belongs to)',
    },
    {
      name: 'type',
      value: 'TYPE',
      isMany: true,
      help: 'an event type of the producer of which its outbox may have lost every event',
    },
    {
      name: 'outbox-hours',
      value: 'HOURS',
      isNumber: true,
      help: 'retention.outboxHours of the producer (default: 72)',
    },
    {
      name: 'inbox-hours',
      value: 'HOURS',
      isNumber: true,
      help: 'retention.inboxHours of the consumer (default: 336; --repair needs it)',
    },
    ...NOTE_OPTIONS,
    ...TABLE_OPTIONS,
  ],
  details: `
Compares the outbox of a producer with the inbox of a consumer, page by page, while both work. With --repair an event that the
consumer has lost, and one whose receipt was lost, is due for that consumer at once: the producer's application sends it, and the
inbox recognises what it has handled. What the producer has lost is listed: its business is gone with it. Each repair leaves a row in the
producer's audit. Exits with 1 when a difference is left.

  nestjs-reliable-mq reconcile --producer "$ORDER_DATABASE_URL" --consumer "$INVENTORY_DATABASE_URL" --since 6h
  nestjs-reliable-mq reconcile --producer … --consumer … --since 6h --repair --inbox-hours 336`,
  run: (given, context) => {
    const urls = ['producer', 'consumer'].map((side) => {
      const url = given.text(side);
      if (url === undefined) throw new UsageError(`--${side} URL is missing`);
      return url;
    });
    const since = sinceOf(given) ?? ago(DEFAULT_SINCE_HOURS * HOUR_MS);
    // A default that is too long would have work done twice.
    if (given.flag('repair') && given.number('inbox-hours') === undefined)
      throw new UsageError(
        "--repair needs --inbox-hours: the consumer's retention.inboxHours, 336 unless it was changed. What its inbox has forgotten by its age must not be sent again",
      );
    return withTables(urls, given, async ([producer, consumer]) => {
      if (!consumer) throw new UsageError('--consumer URL is missing');
      const owner = await consumer.database.ownerOf('inbox');
      const names = given.texts('name').length > 0 ? given.texts('name') : [owner].filter((name) => name !== undefined);
      if (names.length === 0)
        throw new UsageError('whose inbox is it? No service has started on it yet: give --name NAME');
      return answerOf(
        {
          producer: producer.operations,
          consumer: consumer.operations,
          names,
          types: given.texts('type'),
          since,
          outboxHours: given.number('outbox-hours') ?? DEFAULT_OUTBOX_HOURS,
          inboxHours: given.number('inbox-hours') ?? DEFAULT_INBOX_HOURS,
          repair: given.flag('repair') ? noteOf(given, context) : undefined,
        },
        context.signal,
      );
    });
  },
};

async function answerOf(options: ReconcileOptions, signal: AbortSignal | undefined): Promise<Answer> {
  const first: Difference[] = [];
  const counts = { 'consumer-lost-it': 0, 'receipt-lost': 0, 'producer-lost-it': 0 };
  let repaired = 0;
  let isCut = false;
  for await (const differences of reconcile(options)) {
    for (const { kind, repaired: isRepaired } of differences) {
      counts[kind] += 1;
      if (isRepaired) repaired += 1;
    }
    first.push(...differences.slice(0, SHOWN - first.length));
    isCut = signal?.aborted ?? false;
    if (isCut) break;
  }
  const found = Object.values(counts).reduce((sum, each) => sum + each, 0);
  const { names, since } = options;
  return {
    json: { consumers: names, since, counts, repaired, isCut, differences: first },
    text: textOf({ names, since, counts, repaired, found, first, isCut }),
    exitCode: found > repaired || isCut ? 1 : 0,
  };
}

interface Found {
  readonly names: readonly string[];
  readonly since: Date;
  readonly counts: Readonly<Record<DifferenceKind, number>>;
  readonly repaired: number;
  readonly found: number;
  readonly first: readonly Difference[];
  readonly isCut: boolean;
}

function textOf({ names, since, counts, repaired, found, first, isCut }: Found): string {
  const rows = first.map(({ kind, eventId, type, key, consumer, repaired: isRepaired }) => [
    eventId,
    type,
    key ?? '-',
    consumer,
    kind,
    isRepaired ? 'is sent again' : '-',
  ]);
  const sums = Object.entries(KINDS).flatMap(([kind, text]) => {
    const number = counts[kind as DifferenceKind];
    return number > 0 ? [`${number} × ${kind}: ${text}.\n`] : [];
  });
  const none = `Producer and ${names.join(', ')} agree on all events since ${moment(since)}.`;
  const repairable = counts['consumer-lost-it'] + counts['receipt-lost'];
  const also = [
    found > first.length ? `The first ${first.length} are shown.\n` : '',
    isCut ? 'It was stopped before the end.\n' : '',
    repaired > 0 ? `${count(repaired, 'is', 'are')} sent again.\n` : '',
    repairable > repaired && repaired === 0 ? `--repair sends ${repairable} again.\n` : '',
  ];
  const headings = ['event', 'type', 'key', 'consumer', 'difference', 'repair'];
  return `${table(headings, rows, none)}${sums.join('')}${also.join('')}`;
}
