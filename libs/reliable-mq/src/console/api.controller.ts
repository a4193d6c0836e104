import { Get, Injectable, Req, Res } from '@nestjs/common';
import { Access, type Visitor } from './access';
import type { ConsoleRequest } from './console-options';
import { EventAnswers } from './event-answers';
import { FailureAnswers } from './failure-answers';
import { HandlingAnswers } from './handling-answers';
import { JourneyAnswers } from './journey-answers';
import { NowAnswers } from './now-answers';
import { readTexts } from './queries';
import { QueueAnswers } from './queue-answers';
import { Replies } from './replies';
import { Runs } from './runs';
import { SessionAnswers } from './session-answers';

/**
 * What the page reads. The module makes a controller of it, at its path and behind its guards. What comes in is read by hand, so that neither
 * the application's global pipes nor those of Nest have a part in it.
 */
@Injectable()
export class ConsoleReadApi {
  constructor(
    private readonly access: Access,
    private readonly replies: Replies,
    private readonly sessions: SessionAnswers,
    private readonly nowAnswers: NowAnswers,
    private readonly events: EventAnswers,
    private readonly handlings: HandlingAnswers,
    private readonly journeys: JourneyAnswers,
    private readonly failures: FailureAnswers,
    private readonly queues: QueueAnswers,
    private readonly runs: Runs,
  ) {}

  @Get('api/session')
  session(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, async (visitor) => this.sessions.session(visitor));
  }

  @Get('api/now')
  now(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, () => this.nowAnswers.now());
  }

  @Get('api/events')
  eventPage(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, () => this.events.page(request.query));
  }

  @Get('api/events/:id')
  event(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, (visitor) => {
      const { source } = readTexts(request.query, ['source']);
      return this.events.detail(idOf(request), source, visitor);
    });
  }

  @Get('api/handlings')
  handlingPage(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, () => this.handlings.page(request.query));
  }

  @Get('api/journey')
  journey(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, (visitor) => this.journeys.journey(request.query, visitor));
  }

  @Get('api/failures')
  failureGroups(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, () => this.failures.failures(request.query));
  }

  @Get('api/audit')
  audit(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, () => this.failures.audit(request.query));
  }

  @Get('api/queues')
  queueList(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, () => this.queues.queues());
  }

  @Get('api/runs')
  runList(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, async () => ({ runs: this.runs.list() }));
  }

  private answer(
    request: ConsoleRequest,
    response: unknown,
    work: (visitor: Visitor) => Promise<unknown>,
  ): Promise<void> {
    return this.replies.json(response, async () => ({ body: await work(await this.access.reader(request)) }));
  }
}

/** Of the route. */
export function idOf({ params }: ConsoleRequest): string {
  const { id } = (params ?? {}) as { readonly id?: unknown };
  return typeof id === 'string' ? id : '';
}
