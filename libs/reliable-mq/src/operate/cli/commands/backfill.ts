import { inspectBroker } from '../../../broker/rabbitmq/inspect';
import { consumerQueue } from '../../../event/queue-names';
import { problemsOfHistory } from '../../operation-input';
import type { BackfillResult, HistorySelection } from '../../operations';
import { bulkAnswer } from '../bulk-answer';
import { type Answer, type Command, type Given, UsageError } from '../command';
import { count, moment } from '../format';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';
import { BULK_OPTIONS, bulkOptionsOf } from '../selections';
import { sinceOf } from '../since';

export const BACKFILL: Command = {
  name: 'backfill',
  summary: 'send what has ended to a consumer that is new, at a rate',
  options: [
    { name: 'consumer', value: 'NAME', help: 'the consumer that is to have the history' },
    { name: 'type', value: 'TYPE', help: 'event type' },
    {
      name: 'since',
      value: 'TIME',
      help: 'events recorded from then on: 2026-11-28T09:00Z, or how long ago: 90m, 6h, 3d',
    },
    ...BULK_OPTIONS.filter(({ name }) => name !== 'all'),
    { name: 'broker', value: 'URL', help: 'where it is asked for the queue of the consumer (default: AMQP_URL)' },
    DATABASE_OPTION,
    ...TABLE_OPTIONS,
  ],
  details: `
On the producer's database, when the consumer runs: its queue gets what is recorded from then on, and this gets it what was before. The
application's compensation task publishes the events to that queue alone, and follows each to its end. Others get nothing again. An event
that the consumer gives up is dead and needs a person; its compensation handler does not run. What was pruned cannot come back. Events that
have not ended are left alone: run it again when they have. What is sent already is not sent twice.

  nestjs-reliable-mq backfill --consumer mail --type order.created --since 3d --dry-run
  nestjs-reliable-mq backfill --consumer mail --type order.created --since 3d --rate 50 --why "mails for the new shop"`,
  run: async (given, context) => {
    const selection = selectionOf(given);
    const options = bulkOptionsOf(given, context);
    const queue = consumerQueue(selection.consumer, selection.type);
    const broker = given.text('broker') ?? context.env['AMQP_URL'];
    if (broker !== undefined && !(await hasQueue(broker, queue))) {
      const text = `Queue ${queue} does not exist: start the consumer first, which declares it. Nothing was sent.\n`;
      return { json: { queue, exists: false }, text, exitCode: 1 };
    }
    const hint = broker === undefined ? `Not checked: whether queue ${queue} exists. Set AMQP_URL.\n` : '';
    return withDatabase(given, context, async ({ people }) =>
      answerOf(await people.backfill(selection, options), selection, given.flag('dry-run'), hint),
    );
  },
};

function selectionOf(given: Given): HistorySelection {
  const since = sinceOf(given);
  const { consumer, type } = { consumer: given.text('consumer'), type: given.text('type') };
  if (consumer === undefined || type === undefined || since === undefined)
    throw new UsageError('--consumer NAME, --type TYPE and --since TIME are needed');
  const selection = { consumer, type, since };
  const problems = problemsOfHistory(selection);
  if (problems.length > 0) throw new UsageError(problems.join(' '));
  return selection;
}

async function hasQueue(broker: string, queue: string): Promise<boolean> {
  const { queues } = await inspectBroker(broker, [queue]);
  return queues.get(queue) !== 'no-queue';
}

function answerOf(result: BackfillResult, selection: HistorySelection, isDryRun: boolean, hint: string): Answer {
  const { consumer, type, since } = selection;
  const { oldest, left } = result;
  const { text, json, exitCode } = bulkAnswer(result, {
    done: `sent to ${consumer}`,
    asked: undefined,
    isDryRun,
    whyNot: 'changed by somebody else meanwhile; run it again',
  });
  const lines = [
    left.known > 0
      ? `${count(left.known, 'is', 'are')} left alone: ${consumer} is among their consumers, or has reported.`
      : '',
    left.unfinished > 0 ? `${count(left.unfinished, 'has', 'have')} not ended yet: run it again when they have.` : '',
    left.dead > 0 ? `${count(left.dead, 'is', 'are')} dead: what was given up is nobody's history.` : '',
    oldest === null
      ? `The outbox has no ${type}.`
      : oldest > since
        ? `The outbox has ${type} from ${moment(oldest)} on: what was before is pruned, and cannot be sent.`
        : '',
  ];
  const said = lines.filter((line) => line !== '').map((line) => `${line}\n`);
  return { json: { ...(json as object), oldest, left }, text: `${text}${said.join('')}${hint}`, exitCode };
}
