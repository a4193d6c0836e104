import { Injectable, Post, Req, Res } from '@nestjs/common';
import { Access, type Visitor } from './access';
import { Actions } from './actions';
import { idOf } from './api.controller';
import type { ConsoleRequest } from './console-options';
import { type Reply, Replies } from './replies';
import { Runs } from './runs';

/** What the page changes: of people who may act, with the token of their session, and not too often. */
@Injectable()
export class ConsoleActionApi {
  constructor(
    private readonly access: Access,
    private readonly replies: Replies,
    private readonly actions: Actions,
    private readonly runs: Runs,
  ) {}

  @Post('api/operations')
  operate(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, (visitor) => this.actions.operate(request.body, visitor));
  }

  @Post('api/runs/:id/stop')
  stop(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, async () => ({ body: await this.runs.stop(idOf(request)) }));
  }

  @Post('api/queues/pause')
  pause(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, async (visitor) => ({
      body: await this.actions.setPaused(true, request.body, visitor),
    }));
  }

  @Post('api/queues/resume')
  resume(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, async (visitor) => ({
      body: await this.actions.setPaused(false, request.body, visitor),
    }));
  }

  @Post('api/events/:id/edit-and-redrive')
  edit(@Req() request: ConsoleRequest, @Res() response: unknown): Promise<void> {
    return this.answer(request, response, async (visitor) => ({
      body: await this.actions.edit(idOf(request), request.body, visitor),
    }));
  }

  private answer(
    request: ConsoleRequest,
    response: unknown,
    work: (visitor: Visitor) => Promise<Reply>,
  ): Promise<void> {
    return this.replies.json(response, async () => work(await this.access.actor(request)));
  }
}
