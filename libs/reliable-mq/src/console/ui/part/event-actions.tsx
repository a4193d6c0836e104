import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import type { EventDetail, OperationRequest } from '../../api';
import { operationsOnEvent } from '../state/bulk';
import { useWords } from '../text/words';
import { EditDialog } from './edit-dialog';
import { OperationDialog } from './operation-dialog';

interface Props {
  readonly event: EventDetail;
  readonly onChanged: () => void;
}

/** What can be done to one dead event. */
export function EventActions({ event, onChanged }: Props): JSX.Element | null {
  const { t } = useWords();
  const [open, setOpen] = useState<OperationRequest['operation'] | 'edit'>();
  const operations = operationsOnEvent(event);
  if (operations.length === 0) return null;
  const noEdit = event.isRedacted ? t.act.editRedacted : event.isCut ? t.event.cut : undefined;
  const close = (): void => setOpen(undefined);
  return (
    <>
      {operations.map((operation) => (
        <button key={operation} type="button" onClick={() => setOpen(operation)}>
          {t.act[operation]} …
        </button>
      ))}
      <button type="button" disabled={noEdit !== undefined} title={noEdit} onClick={() => setOpen('edit')}>
        {t.act.edit} …
      </button>
      {noEdit !== undefined && <small class="quiet">{noEdit}</small>}
      {open === 'edit' && <EditDialog event={event} onClose={close} onDone={onChanged} />}
      {open !== undefined && open !== 'edit' && (
        <OperationDialog
          operation={open}
          target={{ source: event.source, ids: [event.id] }}
          onClose={close}
          onStarted={onChanged}
        />
      )}
    </>
  );
}
