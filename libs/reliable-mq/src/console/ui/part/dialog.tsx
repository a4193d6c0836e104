import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { useWords } from '../text/words';

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** The browser's own: it holds the focus, closes by Escape, and gives the focus back to where it came from. */
export function Dialog({ title, onClose, children }: Props): JSX.Element {
  const { t } = useWords();
  const box = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const opener = document.activeElement;
    const dialog = box.current;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog ref={box} aria-labelledby={titleId} onClose={onClose}>
      <header>
        <h2 id={titleId}>{title}</h2>
        <button type="button" class="icon" aria-label={t.close} onClick={onClose}>
          ×
        </button>
      </header>
      {children}
    </dialog>
  );
}

interface WhyProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** Why it is done: asked for by everything that is kept in the audit. */
export function WhyField({ value, onChange }: WhyProps): JSX.Element {
  const { t } = useWords();
  const id = useId();
  return (
    <p class="field">
      <label for={id}>{t.act.why}</label>
      <textarea
        id={id}
        rows={2}
        required
        maxLength={1_000}
        aria-describedby={`${id}-hint`}
        value={value}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
      <small id={`${id}-hint`} class="quiet">
        {t.act.whyHint}
      </small>
    </p>
  );
}
