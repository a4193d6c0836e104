import { type ArgumentsHost, Catch, type ExceptionFilter, Injectable, UseFilters } from '@nestjs/common';
import { IsString } from 'class-validator';
import { EventRecorder, RejectEvent, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { eventually } from '../support/eventually';
import { LogLines } from '../support/log-lines';
import { QUICK, TestApp } from '../support/test-app';

@ReliableEvent({ type: 'note.plain' })
class PlainNote {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'note.filtered' })
class FilteredNote {
  @IsString() text!: string;
}

class DomainError extends Error {}

@Catch(DomainError)
class DomainFilter implements ExceptionFilter {
  async catch(error: DomainError, _host: ArgumentsHost): Promise<void> {
    throw new RejectEvent(`the filter says: ${error.message}`);
  }
}

@Injectable()
class Handlers {
  @ReliableEventHandler(PlainNote, { maxAttempts: 1 })
  async plain({ text }: PlainNote): Promise<void> {
    throw text === 'reject' ? new RejectEvent('not wanted') : new Error('broken');
  }

  @UseFilters(DomainFilter)
  @ReliableEventHandler(FilteredNote, { maxAttempts: 1 })
  async filtered({ text }: FilteredNote): Promise<void> {
    if (text === 'reject') throw new RejectEvent('not wanted');
    throw text === 'domain' ? new DomainError('not in this domain') : new Error('broken');
  }
}

describe('what a handler throws', () => {
  let app: TestApp;
  let log: LogLines;

  beforeEach(async () => {
    log = new LogLines();
    app = await TestApp.start({ providers: [Handlers], logger: log, reliableMq: QUICK });
  });
  afterEach(() => app.dispose());

  it.each([
    [PlainNote, 'reject', 'not wanted'],
    [PlainNote, 'fail', 'broken'],
    [FilteredNote, 'reject', 'not wanted'],
    [FilteredNote, 'domain', 'the filter says: not in this domain'],
    [FilteredNote, 'fail', 'broken'],
  ])('%p %s: is told by one line of this library, and by none of Nest', async (eventClass, text, reason) => {
    const events = app.get(EventRecorder);
    await events.transaction(() => events.record(Object.assign(new eventClass(), { text })));
    const [line] = await eventually(() => {
      const lines = log.of('An event is given up by its consumer');
      expect(lines).toHaveLength(1);
      return lines;
    });
    expect(line?.details['reason']).toContain(reason);
    expect(log.lines.filter(({ context }) => context === 'ExceptionsHandler')).toEqual([]);
    // Where it was thrown, for whoever looks for the line of code.
    const stacks = log.of('A handler threw').map(({ details }) => String(details['stack']));
    expect(stacks).toEqual(text !== 'fail' ? [] : [expect.stringContaining('failures-are-told-once')]);
  });
});
