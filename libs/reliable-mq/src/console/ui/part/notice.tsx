import type { JSX } from 'preact';
import { useWords } from '../text/words';

export interface Announced {
  readonly text: string;
  readonly link?: { readonly text: string; readonly href: string } | undefined;
}

/** What was just done. The region is always there, so that a screen reader tells what comes into it. */
export function Notice({
  announced,
  onClose,
}: {
  readonly announced: Announced | undefined;
  readonly onClose: () => void;
}): JSX.Element {
  const { t } = useWords();
  return (
    <div class="notice" role="status">
      {announced && (
        <p>
          {announced.text}{' '}
          {announced.link && (
            <a href={announced.link.href} onClick={onClose}>
              {announced.link.text}
            </a>
          )}
          <button type="button" class="icon" aria-label={t.close} onClick={onClose}>
            ×
          </button>
        </p>
      )}
    </div>
  );
}
