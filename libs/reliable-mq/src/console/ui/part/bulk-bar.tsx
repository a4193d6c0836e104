import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { OperationRequest } from '../../api';
import type { Bulk, Target } from '../state/bulk';
import { useWords } from '../text/words';
import { OperationDialog, type PlannedOperation } from './operation-dialog';

type Operation = OperationRequest['operation'];

interface Props {
  readonly source: string;
  readonly bulk: Bulk;
  /** Rows that were chosen; undefined: none. */
  readonly chosen: Omit<Target, 'source' | 'filter'> | undefined;
  readonly chosenCount: number;
  /** What can be done to all of those. */
  readonly chosenOperations: readonly Operation[];
  readonly onStarted: () => void;
}

/** What can be done to the rows that were chosen, and to all that match. */
export function BulkBar(props: Props): JSX.Element {
  const { source, bulk, chosen, chosenCount, chosenOperations, onStarted } = props;
  const { t } = useWords();
  const [planned, setPlanned] = useState<PlannedOperation>();
  const plan = (operation: Operation, target: Omit<Target, 'source'>): void =>
    setPlanned({ operation, target: { source, ...target } });
  return (
    <div class="bulk" role="group" aria-label={t.event.actions}>
      {chosen && (
        <span class="buttons">
          <span role="status">{t.events.selected(chosenCount)}:</span>
          {chosenOperations.map((operation) => (
            <button key={operation} type="button" onClick={() => plan(operation, chosen)}>
              {t.act[operation]} …
            </button>
          ))}
        </span>
      )}
      {bulk.operations.length > 0 ? (
        <span class="buttons">
          <span>{t.events.allThatMatch}</span>
          {bulk.operations.map((operation) => (
            <button key={operation} type="button" onClick={() => plan(operation, { filter: bulk.filter })}>
              {t.act[operation]} …
            </button>
          ))}
        </span>
      ) : (
        <small class="quiet">{t.events.bulkNeeds}</small>
      )}
      {planned && <OperationDialog {...planned} onClose={() => setPlanned(undefined)} onStarted={onStarted} />}
    </div>
  );
}
