import type { JSX } from 'preact';
import { useId, useState } from 'preact/hooks';
import type { DryRunAnswer, OperationRequest, Run } from '../../api';
import type { Target } from '../state/bulk';
import type { ConsoleProblem } from '../state/client';
import { useConsole } from '../state/console';
import { hrefOf } from '../state/route';
import { asProblem, useLoad } from '../state/use-load';
import { useWords } from '../text/words';
import { Dialog, WhyField } from './dialog';
import { LongText } from './long-text';
import { ProblemBox } from './problem';
import { Loading } from './small';

export interface PlannedOperation {
  readonly operation: OperationRequest['operation'];
  readonly target: Target;
}

interface Props extends PlannedOperation {
  readonly onClose: () => void;
  readonly onStarted: () => void;
}

const DEFAULT_PER_SECOND = 10;
/** A dry run stops counting here. */
const CAP = 10_000;

/** First what would happen, from a dry run; then how fast and why; then it is done. */
export function OperationDialog({ operation, target, onClose, onStarted }: Props): JSX.Element {
  const { t, f } = useWords();
  const { client, announce } = useConsole();
  const [why, setWhy] = useState('');
  const [perSecond, setPerSecond] = useState(DEFAULT_PER_SECOND);
  const [evenIfCompensated, setEven] = useState(false);
  const [problem, setProblem] = useState<ConsoleProblem>();
  const [isSending, setSending] = useState(false);
  const rateId = useId();

  const request: OperationRequest = {
    operation,
    ...target,
    ...(operation === 'redrive' && evenIfCompensated && { evenIfCompensated }),
  };
  const dry = useLoad(JSON.stringify(request), () =>
    client.post<DryRunAnswer>('operations', { ...request, dryRun: true }),
  );
  const matched = dry.data?.matched ?? 0;

  const start = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setSending(true);
    setProblem(undefined);
    try {
      await client.post<Run>('operations', { ...request, perSecond, why: why.trim() });
      announce(t.act.started(f.capped(matched, CAP), matched === 1), { text: t.act.seeRun, href: hrefOf('runs') });
      onStarted();
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
      setSending(false);
    }
  };

  return (
    <Dialog title={t.act.title[operation]} onClose={onClose}>
      <form onSubmit={(event) => void start(event)}>
        <p>{t.act.means[operation]}</p>
        <ProblemBox problem={dry.problem} onRetry={dry.reload} />
        {dry.isLoading && <Loading />}
        <div aria-live="polite">
          {dry.data && (
            <p class="matched">
              {matched === 0 ? t.act.matchesNone : t.act.matches(f.capped(matched, CAP), matched === 1)}
            </p>
          )}
        </div>
        {dry.data && dry.data.first.length > 0 && (
          <details>
            <summary>{t.act.whichFirst}</summary>
            <ol class="which">
              {dry.data.first.map((one) => (
                <li key={JSON.stringify(one)}>
                  <LongText value={told(one)} />
                </li>
              ))}
            </ol>
          </details>
        )}
        {operation === 'redrive' && (
          <label class="check">
            <input
              type="checkbox"
              checked={evenIfCompensated}
              onChange={(event) => setEven(event.currentTarget.checked)}
            />{' '}
            {t.act.evenIfCompensated}
          </label>
        )}
        <p class="field">
          <label for={rateId}>{t.act.rate}</label>
          <input
            id={rateId}
            type="number"
            min={1}
            max={10_000}
            required
            value={perSecond}
            onInput={(event) => setPerSecond(event.currentTarget.valueAsNumber)}
          />
        </p>
        <WhyField value={why} onChange={setWhy} />
        <ProblemBox problem={problem} />
        <footer>
          <button type="button" onClick={onClose}>
            {t.cancel}
          </button>
          <button
            type="submit"
            class={operation === 'discard' ? 'primary danger' : 'primary'}
            disabled={isSending || matched === 0 || why.trim() === ''}
          >
            {t.act.go[operation]}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** A row of a dry run: an id, or the fields that name it. */
function told(one: unknown): string {
  if (typeof one !== 'object' || one === null) return String(one);
  return Object.values(one)
    .filter((value) => typeof value === 'string' || typeof value === 'number')
    .join(' · ');
}
