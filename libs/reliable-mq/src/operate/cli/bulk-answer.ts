import type { HandlingKey } from '../../database/operations.store';
import type { BulkResult } from '../bulk';
import type { Answer } from './command';
import { count } from './format';

/**
 * What a change of many has done.
 * @param done as in "redriven"
 * @param asked how many were named, of a selection by ids
 * @param whyNot why some of them may have been left alone
 */
export function bulkAnswer(
  result: BulkResult<string | HandlingKey>,
  { done, asked, isDryRun, whyNot }: { done: string; asked: number | undefined; isDryRun: boolean; whyNot: string },
): Answer {
  const { matched, first, runId } = result;
  const shown = first.map((item) => `  ${typeof item === 'string' ? item : `${item.eventId} ${item.consumer}`}\n`);
  if (isDryRun) {
    const left = asked === undefined ? 0 : asked - matched;
    const more = matched > first.length ? '  …\n' : '';
    const text = `${count(matched, 'would', 'would')} be ${done}:\n${shown.join('')}${more}`;
    return {
      json: { dryRun: true, matched, first, leftAlone: left },
      text:
        matched === 0 ? `Nothing would be ${done}${left > 0 ? `: ${whyNot}` : ''}.\n` : text + leftText(left, whyNot),
      exitCode: left > 0 ? 1 : 0,
    };
  }
  const left = matched - result.done;
  const runText = result.done > 0 ? ` (run ${runId} of the audit)` : '';
  return {
    json: { ...result, leftAlone: left },
    text: `${result.done} ${done}${runText}.\n${leftText(left, whyNot)}`,
    exitCode: asked !== undefined && left > 0 ? 1 : 0,
  };
}

function leftText(left: number, whyNot: string): string {
  return left > 0 ? `${count(left, 'was', 'were')} left alone: ${whyNot}.\n` : '';
}
