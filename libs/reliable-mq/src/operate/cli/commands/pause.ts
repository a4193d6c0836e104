import type { QueueName } from '../../../database/audit';
import { type Command, type Given, UsageError } from '../command';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';
import { NOTE_OPTIONS, noteOf } from '../selections';

const OPTIONS = [...NOTE_OPTIONS, DATABASE_OPTION, ...TABLE_OPTIONS];

export const PAUSE: Command = {
  name: 'pause',
  summary: 'no instance takes from a queue, or retries what is of it',
  words: 'CONSUMER TYPE',
  options: OPTIONS,
  details: `
On the consumer's database. Instances follow at the next run of their compensation task; what is in hand goes on. For hours, not
for days: producers chase meanwhile. Exits with 1 when it is paused already.

  nestjs-reliable-mq pause inventory order.created --why "a bad release"`,
  run: (given, context) => {
    const queue = queueOf(given);
    return withDatabase(given, context, async ({ people }) => {
      const isDone = await people.pause(queue, noteOf(given, context));
      const text = isDone ? 'is paused; instances follow within ten seconds' : 'is paused already';
      return { json: { ...queue, paused: isDone }, text: `${nameOf(queue)} ${text}.\n`, exitCode: isDone ? 0 : 1 };
    });
  },
};

export const RESUME: Command = {
  name: 'resume',
  summary: 'a paused queue is taken from again',
  words: 'CONSUMER TYPE',
  options: OPTIONS,
  details: `
On the consumer's database. Exits with 1 when it is not paused.

  nestjs-reliable-mq resume inventory order.created`,
  run: (given, context) => {
    const queue = queueOf(given);
    return withDatabase(given, context, async ({ people }) => {
      const isDone = await people.resume(queue, noteOf(given, context));
      const text = isDone ? 'is resumed; instances follow within ten seconds' : 'is not paused';
      return { json: { ...queue, resumed: isDone }, text: `${nameOf(queue)} ${text}.\n`, exitCode: isDone ? 0 : 1 };
    });
  },
};

function queueOf({ words }: Given): QueueName {
  const [consumer, type, ...more] = words;
  if (consumer === undefined || type === undefined || more.length > 0)
    throw new UsageError('a consumer and an event type are needed, as in "inventory order.created"');
  return { consumer, type };
}

function nameOf({ consumer, type }: QueueName): string {
  return `${consumer}.${type}`;
}
