import type { JSX } from 'preact';
import { useId, useMemo, useState } from 'preact/hooks';
import type { EditAnswer, EditRequest, EventDetail } from '../../api';
import type { ConsoleProblem } from '../state/client';
import { useConsole } from '../state/console';
import { hrefOf } from '../state/route';
import { asProblem } from '../state/use-load';
import { useWords } from '../text/words';
import { Dialog, WhyField } from './dialog';
import { ProblemBox } from './problem';

interface Props {
  readonly event: EventDetail;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

export function EditDialog({ event, onClose, onDone }: Props): JSX.Element {
  const { t } = useWords();
  const { client, announce } = useConsole();
  const [text, setText] = useState(() => JSON.stringify(event.payload, null, 2));
  const [why, setWhy] = useState('');
  const [evenIfCompensated, setEven] = useState(false);
  const [problem, setProblem] = useState<ConsoleProblem>();
  const [isSending, setSending] = useState(false);
  const id = useId();
  const parsed = useMemo(() => parse(text), [text]);

  const send = async (submit: SubmitEvent): Promise<void> => {
    submit.preventDefault();
    if ('invalid' in parsed) return;
    setSending(true);
    setProblem(undefined);
    const request: EditRequest = {
      source: event.source,
      payload: parsed.payload,
      why: why.trim(),
      ...(evenIfCompensated && { evenIfCompensated }),
    };
    try {
      const { eventId } = await client.post<EditAnswer>(
        `events/${encodeURIComponent(event.id)}/edit-and-redrive`,
        request,
      );
      announce(t.act.edited, { text: t.act.seeNew, href: hrefOf('journey', { of: eventId }) });
      onDone();
      onClose();
    } catch (error) {
      setProblem(asProblem(error));
      setSending(false);
    }
  };

  return (
    <Dialog title={t.act.editTitle} onClose={onClose}>
      <form onSubmit={(submit) => void send(submit)}>
        <p>{t.act.editHint}</p>
        <p class="field">
          <label for={id}>{t.act.editPayload}</label>
          <textarea
            id={id}
            class="code"
            rows={12}
            spellcheck={false}
            aria-invalid={'invalid' in parsed}
            aria-describedby={`${id}-problem`}
            value={text}
            onInput={(input) => setText(input.currentTarget.value)}
          />
          <small id={`${id}-problem`} class="invalid" role="status">
            {'invalid' in parsed && t.act.editInvalid(parsed.invalid)}
          </small>
        </p>
        {event.compensatedAt !== null && (
          <label class="check">
            <input
              type="checkbox"
              checked={evenIfCompensated}
              onChange={(change) => setEven(change.currentTarget.checked)}
            />{' '}
            {t.act.editEven}
          </label>
        )}
        <WhyField value={why} onChange={setWhy} />
        <ProblemBox problem={problem} />
        <footer>
          <button type="button" onClick={onClose}>
            {t.cancel}
          </button>
          <button type="submit" class="primary" disabled={isSending || 'invalid' in parsed || why.trim() === ''}>
            {t.act.editGo}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function parse(text: string): { readonly payload: unknown } | { readonly invalid: string } {
  try {
    return { payload: JSON.parse(text) as unknown };
  } catch (error) {
    return { invalid: error instanceof Error ? error.message : String(error) };
  }
}
