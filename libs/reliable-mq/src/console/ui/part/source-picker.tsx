import type { JSX } from 'preact';
import { sourceOf, useConsole } from '../state/console';
import { go, without } from '../state/route';
import { useWords } from '../text/words';

/** Which database is looked at; not there when there is one only. */
export function SourcePicker(): JSX.Element | null {
  const { t } = useWords();
  const state = useConsole();
  const { sources } = state.session;
  if (sources.length < 2) return null;
  return (
    <label class="source">
      {t.source}{' '}
      <select
        value={sourceOf(state)}
        onChange={(event) => {
          go(state.route.page, { ...without(state.route.params, 'before'), source: event.currentTarget.value });
        }}
      >
        {sources.map(({ name, database }) => (
          <option key={name} value={name}>
            {name} ({database})
          </option>
        ))}
      </select>
    </label>
  );
}
