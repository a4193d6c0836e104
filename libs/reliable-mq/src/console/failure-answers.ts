import { Injectable } from '@nestjs/common';
import { deadGroups, failedGroups, type FailureGroups } from '../operate/failure-groups';
import { isUuid } from '../event/event-id';
import type { AuditPage, FailuresAnswer } from './api';
import { invalid } from './console-problem';
import { FreshAnswers } from './fresh-answers';
import { choice, readTexts } from './queries';
import { toAuditEntry, toGroup } from './shapes';
import { Sources } from './sources';

/** Up to 10,000 rows are looked through for one answer. */
const FRESH_MS = 2000;
const AUDIT_PAGE = 100;

/** What has failed, by kinds; and what people have done about it. */
@Injectable()
export class FailureAnswers {
  private readonly groups = new FreshAnswers<FailureGroups>(FRESH_MS);

  constructor(private readonly sources: Sources) {}

  async failures(query: unknown): Promise<FailuresAnswer> {
    const texts = readTexts(query, ['source', 'side']);
    const side = choice('side', texts.side, ['events', 'handlings']);
    const source = this.sources.byName(texts.source);
    const { groups, isCut } = await this.groups.get(`${side} ${source.name}`, () =>
      source.ask((operations) => (side === 'events' ? deadGroups(operations, {}) : failedGroups(operations, {}))),
    );
    return { source: source.name, side, groups: groups.map(toGroup), isCut };
  }

  async audit(query: unknown): Promise<AuditPage> {
    const { before, source: name } = readTexts(query, ['source', 'before']);
    if (before !== undefined && !isUuid(before)) throw invalid('before must be the next of the page before.');
    const source = this.sources.byName(name);
    const found = await source.ask((operations) => operations.listAudit(before, AUDIT_PAGE + 1));
    const records = found.slice(0, AUDIT_PAGE).map((record) => toAuditEntry(source.name, record));
    const next = found.length > AUDIT_PAGE ? records.at(-1)?.id : undefined;
    return { records, ...(next !== undefined && { next }) };
  }
}
