import type { JSX } from 'preact';
import type { SourceNow } from '../../api';
import { hrefOf } from '../state/route';
import { useWords } from '../text/words';

/** The numbers of each database, each leading to its rows. */
export function Counts({ sources }: { readonly sources: readonly SourceNow[] }): JSX.Element {
  const { t, f } = useWords();
  return (
    <div class="counts">
      {sources.map(({ source, outbox, inbox, cap }) => (
        <section key={source} aria-label={source}>
          <h3>{source}</h3>
          {!outbox && !inbox && <p class="quiet">{t.unknown}</p>}
          <dl>
            {outbox && (
              <>
                <Count
                  name={t.eventStatus.pending}
                  text={f.capped(outbox.pending, cap)}
                  href={hrefOf('events', { source, status: 'pending' })}
                />
                <Count
                  name={t.eventStatus.published}
                  text={f.capped(outbox.published, cap)}
                  href={hrefOf('events', { source, status: 'published' })}
                />
                <Count
                  name={t.eventStatus.dead}
                  text={f.capped(outbox.dead, cap)}
                  href={hrefOf('events', { source, status: 'dead' })}
                />
                <Count name={t.now.compensating} text={f.capped(outbox.compensating, cap)} />
                <Count name={t.now.compensated} text={f.capped(outbox.compensated, cap)} />
              </>
            )}
            {inbox && (
              <>
                <Count
                  name={`${t.now.inbox}: ${t.handlingStatus.failed}`}
                  text={f.capped(inbox.failed, cap)}
                  href={hrefOf('handlings', { source, status: 'failed' })}
                />
                <Count
                  name={`${t.now.inbox}: ${t.handlingStatus.rejected}`}
                  text={f.capped(inbox.rejected, cap)}
                  href={hrefOf('handlings', { source, status: 'rejected' })}
                />
                <Count
                  name={`${t.now.inbox}: ${t.handlingStatus.dead}`}
                  text={f.capped(inbox.dead, cap)}
                  href={hrefOf('handlings', { source, status: 'dead' })}
                />
              </>
            )}
          </dl>
        </section>
      ))}
    </div>
  );
}

function Count({
  name,
  text,
  href,
}: {
  readonly name: string;
  readonly text: string;
  readonly href?: string;
}): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {href === undefined ? (
          text
        ) : (
          <a href={href} aria-label={`${name}: ${text}`}>
            {text}
          </a>
        )}
      </dd>
    </div>
  );
}
