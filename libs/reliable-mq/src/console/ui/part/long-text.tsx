import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { clipped, visible } from '../text/visible';
import { useWords } from '../text/words';

interface Props {
  readonly value: string;
  /** Characters shown at first. */
  readonly most?: number;
  /** With its line ends and spaces. */
  readonly isCode?: boolean;
}

/** Text that others wrote: always as text, and cut when it is long. */
export function LongText({ value, most = 200, isCode = false }: Props): JSX.Element {
  const { t, f } = useWords();
  const [isOpen, setOpen] = useState(false);
  const start = clipped(value, most);
  const shown = visible(isOpen ? value : (start ?? value));
  return (
    <>
      {isCode ? <pre tabIndex={0}>{shown}</pre> : <bdi class="text">{shown}</bdi>}
      {start !== undefined && (
        <button type="button" class="link" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          {isOpen ? t.showLess : t.showAll(f.number(value.length))}
        </button>
      )}
    </>
  );
}
