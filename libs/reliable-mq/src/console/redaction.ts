import { Inject, Injectable } from '@nestjs/common';
import type { EventRecord } from '../database/operations.store';
import { describeError } from '../event/errors';
import { createLog } from '../log/log';
import type { Visitor } from './access';
import type { ResolvedConsoleOptions } from './console-options';
import { CONSOLE_OPTIONS } from './console-tokens';

/** A payload as somebody may see it. */
export interface Shown {
  readonly payload: unknown;
  /** It is not what was recorded. */
  readonly isRedacted: boolean;
  /** It was left out because of its size. */
  readonly isCut?: boolean;
}

/** The only way of a payload to a page. */
@Injectable()
export class Redaction {
  private readonly log = createLog();

  constructor(@Inject(CONSOLE_OPTIONS) private readonly options: ResolvedConsoleOptions) {}

  /** @param maxLength of its JSON, in characters; a longer one is left out */
  show({ id, type, key, payload }: EventRecord, { role }: Visitor, maxLength: number): Shown {
    try {
      const recorded = JSON.stringify(payload) as string | undefined;
      const shown = this.redacted(recorded, { eventId: id, type, key, role });
      const isRedacted = shown !== recorded;
      if (shown === undefined || shown.length > maxLength) return { payload: null, isRedacted, isCut: true };
      return { payload: JSON.parse(shown) as unknown, isRedacted };
    } catch (error) {
      this.log.warn("The console's option redact failed: the payload is not shown", {
        eventId: id,
        type,
        error: describeError(error),
      });
      return { payload: null, isRedacted: true };
    }
  }

  /** As JSON, so that what it returns is what is sent, and what it changes is a copy. */
  private redacted(recorded: string | undefined, event: Parameters<NonNullable<ResolvedConsoleOptions['redact']>>[1]) {
    const { redact } = this.options;
    if (!redact || recorded === undefined) return recorded;
    const shown: unknown = redact(JSON.parse(recorded), event);
    if (typeof shown === 'object' && shown !== null && 'then' in shown) throw new Error('it returned a promise');
    return JSON.stringify(shown ?? null) as string | undefined;
  }
}
