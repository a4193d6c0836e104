import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { isUuid } from '../event/event-id';
import { EventNotFoundError } from '../event/errors';
import type { BulkResult, Pace } from '../operate/bulk';
import { EventOperations } from '../operate/event-operations';
import type { Operations } from '../operate/operations';
import type { Visitor } from './access';
import type { DryRunAnswer, EditAnswer, QueueAnswer } from './api';
import { readEdit, readOperation, type ReadOperation, readQueue } from './operation-requests';
import type { Reply } from './replies';
import { Runs } from './runs';
import { Sources } from './sources';

/** What people change: the operations that code and command line have too, each with its row in the audit. */
@Injectable()
export class Actions {
  constructor(
    private readonly sources: Sources,
    private readonly runs: Runs,
    private readonly modules: ModuleRef,
  ) {}

  /** A dry run is answered; what changes something goes on after the answer. */
  async operate(body: unknown, { actor: by }: Visitor): Promise<Reply> {
    const request = readOperation(body, by);
    const { operation } = request;
    const source = this.sources.own(request.source).name;
    const operations = this.on(source);
    if (request.options.dryRun) {
      const { matched, first } = await perform(operations, request, by);
      return { body: { matched, first } satisfies DryRunAnswer };
    }
    const run = this.runs.start({ operation, source, by }, (runId, pace) =>
      perform(operations, request, by, runId, pace),
    );
    return { status: 202, body: run };
  }

  async setPaused(isPaused: boolean, body: unknown, { actor: by }: Visitor): Promise<QueueAnswer> {
    const { source, consumer, type, why } = readQueue(body);
    const operations = this.on(this.sources.own(source).name);
    const queue = { consumer, type };
    const changed = await (isPaused ? operations.pause(queue, { by, why }) : operations.resume(queue, { by, why }));
    return { changed };
  }

  async edit(eventId: string, body: unknown, { actor: by }: Visitor): Promise<EditAnswer> {
    const { source, payload, why, evenIfCompensated = false } = readEdit(body);
    const dataSource = this.sources.own(source).name;
    if (!isUuid(eventId)) throw new EventNotFoundError(eventId);
    const options = { by, why, dataSource, evenIfCompensated };
    return { eventId: await this.events.editAndRedrive(eventId, payload, options) };
  }

  private on(dataSource: string): Operations {
    return this.events.on({ dataSource });
  }

  private get events(): EventOperations {
    return this.modules.get(EventOperations, { strict: false });
  }
}

function perform(
  operations: Operations,
  { operation, selection, options }: ReadOperation,
  by: string,
  runId?: string,
  pace: Pace = {},
): Promise<BulkResult<unknown>> {
  return operations[operation](selection, { ...options, ...pace, by, runId });
}
