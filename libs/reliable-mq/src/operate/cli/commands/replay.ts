import type { Rehearsal } from '../../rehearsals';
import { bootRehearsal } from '../boot-rehearsal';
import { type Answer, type Command, UsageError } from '../command';
import { brief } from '../format';

const CONFIRMATION = 'yes-run-the-handler';

export const REPLAY: Command = {
  name: 'replay',
  summary: 'run the handler of this build on what has failed, roll back, and say whether it would pass',
  words: 'ID…',
  options: [
    {
      name: 'module',
      value: 'FILE',
      help: 'the compiled file of the root module: dist/app.module.js, or FILE#AppModule',
    },
    { name: 'consumer', value: 'NAME', help: 'of this consumer (default: of each one that has the event)' },
    { name: 'dry-run', help: 'needed: nothing else can be asked for. `retry` handles it for good' },
    { name: CONFIRMATION, help: 'needed: the handler really runs' },
  ],
  details: `
Starts the module in this process, with the environment of this process, as the application starts: without its HTTP server, and without
consuming, publishing or repairing anything, and without the jobs of ScheduleModule. Reads the messages from the application's inbox, and runs
each handler as it is run always, with guards, pipes and its time limit, in a transaction that is rolled back. No row is left or changed.

What a handler does outside of that transaction really happens: calls over HTTP, mails, other databases, events.outside(…). So does whatever
else the application does when it starts. Exits with 1 when one would not pass.

  nestjs-reliable-mq replay --dry-run 019b0000-0000-7000-8000-000000000001 --module dist/app.module.js --yes-run-the-handler`,
  run: async (given, { signal = new AbortController().signal }) => {
    const path = given.text('module');
    if (given.words.length === 0) throw new UsageError('which ones? Give ids of events, as `list --inbox` shows them');
    if (path === undefined) throw new UsageError('--module FILE is missing: the compiled file of the root module');
    if (!given.flag('dry-run'))
      throw new UsageError('say --dry-run: `replay` only tries. `retry` has the application handle it for good');
    if (!given.flag(CONFIRMATION))
      throw new UsageError(
        `the handler really runs. Its transaction is rolled back; what it does outside of it is not: HTTP calls, mails, other databases. If that is right, say --${CONFIRMATION}`,
      );
    const application = await bootRehearsal(path);
    try {
      const tried: (readonly Rehearsal[])[] = [];
      for (const id of given.words) {
        const found = await application.rehearsals.run(id, given.text('consumer'), signal);
        tried.push(found.length > 0 ? found : [unknown(id, given.text('consumer'))]);
      }
      return answerOf(tried.flat());
    } finally {
      await application.close();
    }
  },
};

function unknown(eventId: string, consumer = '-'): Rehearsal {
  const reason = 'it is not in the inbox of this application';
  return { eventId, consumer, type: '-', verdict: 'not-run', reason, stack: null, handler: null, recorded: 0 };
}

function answerOf(tried: readonly Rehearsal[]): Answer {
  const passed = tried.filter(({ verdict }) => verdict === 'passes').length;
  const text = tried.map(textOf).join('');
  return {
    json: { passed, failed: tried.length - passed, rehearsals: tried },
    text: `${text}${passed} of ${tried.length} would pass. All was rolled back.\n`,
    exitCode: passed === tried.length ? 0 : 1,
  };
}

function textOf({ eventId, consumer, type, verdict, reason, stack, handler, recorded }: Rehearsal): string {
  const word = { passes: 'PASSES', fails: 'FAILS', 'not-run': 'NOT RUN' }[verdict];
  const would = recorded > 0 ? `, would record ${recorded}` : '';
  const by = handler === null ? '' : `  ${handler}${would}`;
  const why = reason === null ? '' : `    ${brief(reason)}\n`;
  const frames = (stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .map((line) => `      ${line.trim()}\n`);
  return `${word}  ${eventId}  ${consumer}  ${type}${by}\n${why}${frames.join('')}`;
}
