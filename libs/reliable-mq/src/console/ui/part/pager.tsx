import type { JSX } from 'preact';
import { useConsole } from '../state/console';
import { hrefOf } from '../state/route';
import { useWords } from '../text/words';

/** Pages follow a cursor: there is a next one, and a first. */
export function Pager({ next, count }: { readonly next: string | undefined; readonly count: number }): JSX.Element {
  const { t } = useWords();
  const { route } = useConsole();
  const { before, ...params } = route.params;
  return (
    <nav class="pager" aria-label={t.more}>
      <span role="status" class="quiet">
        {t.events.shown(count)}
      </span>
      {before !== undefined && (
        <a class="button" href={hrefOf(route.page, params)}>
          {t.first}
        </a>
      )}
      {next !== undefined && (
        <a class="button" href={hrefOf(route.page, { ...params, before: next })}>
          {t.more}
        </a>
      )}
    </nav>
  );
}
