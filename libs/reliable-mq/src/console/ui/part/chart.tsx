import type { JSX } from 'preact';
import { linesOf } from '../state/rates';
import { useWords } from '../text/words';

interface Props {
  readonly title: string;
  readonly values: readonly (number | undefined)[];
  readonly tell: (value: number) => string;
  readonly tone?: 'bad' | 'lag' | undefined;
}

const HEIGHT = 32;

/** The last minutes of one number, and what it is now. */
export function Chart({ title, values, tell, tone }: Props): JSX.Element {
  const { t } = useWords();
  const now = values.at(-1);
  const said = now === undefined ? '–' : tell(now);
  const most = tell(Math.max(0, ...values.map((value) => value ?? 0)));
  const lines = linesOf(values, HEIGHT);
  return (
    <figure class={`chart ${tone ?? ''}`}>
      <figcaption>
        <span>{title}</span>
        <strong>{said}</strong>
      </figcaption>
      <svg
        viewBox={`0 -2 100 ${HEIGHT + 4}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={t.now.chart(title, said, most)}
      >
        {lines.map((points) => (
          <polyline key={points} points={points} vector-effect="non-scaling-stroke" />
        ))}
      </svg>
      <small class="quiet">{t.now.most(most)}</small>
    </figure>
  );
}
