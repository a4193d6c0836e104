import type { JSX } from 'preact';
import type { ConsoleProblem } from '../state/client';
import type { Texts } from '../text/en';
import { useWords } from '../text/words';
import { LongText } from './long-text';

interface Props {
  readonly problem: ConsoleProblem | undefined;
  readonly onRetry?: () => void;
}

/** What went wrong, in a sentence that says what to do. */
export function ProblemBox({ problem, onRetry }: Props): JSX.Element | null {
  const { t } = useWords();
  if (!problem) return null;
  return (
    <div class="problem" role="alert">
      <strong>{t.problem.title}</strong> {adviceOn(problem, t)}{' '}
      {problem.status !== 0 && (
        <span class="quiet">
          <LongText value={t.problem.said(problem.message)} />
        </span>
      )}{' '}
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {t.reload}
        </button>
      )}
    </div>
  );
}

function adviceOn({ status, code }: ConsoleProblem, { problem }: Texts): string {
  switch (code) {
    case 'NOT_ALLOWED':
      return problem.notAllowed;
    case 'CSRF':
      return problem.csrf;
    case 'TOO_MANY':
      return problem.tooMany;
    case 'EVENT_NOT_FOUND':
      return problem.notFound;
    case 'EVENT_NOT_DEAD':
      return problem.notDead;
    case 'INVALID_EVENT':
      return problem.invalidEvent;
    case 'RUN_NOT_FOUND':
      return problem.noRun;
    case 'INVALID_OPTIONS':
      return problem.invalid;
    case 'NETWORK':
      return problem.network;
    default:
  }
  if (status === 401 || status === 403) return problem.signIn;
  if (status === 400 || status === 422) return problem.invalid;
  if (status === 429) return problem.tooMany;
  return status === 503 || code === 'UNAVAILABLE' ? problem.unavailable : problem.other;
}
