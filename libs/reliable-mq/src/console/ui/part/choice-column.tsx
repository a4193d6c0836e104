import type { Choice } from '../state/use-choice';
import type { Texts } from '../text/en';
import type { Column } from './table';

/** A box to tick in each row, and one for all of the page. */
export function choiceColumn<Row>(choice: Choice<Row>, nameOf: (row: Row) => string, t: Texts): Column<Row> {
  return {
    title: '',
    head: <input type="checkbox" aria-label={t.events.selectAll} checked={choice.hasAll} onChange={choice.toggleAll} />,
    cell: (row) => (
      <input
        type="checkbox"
        aria-label={t.events.select(nameOf(row))}
        checked={choice.has(row)}
        onChange={() => choice.toggle(row)}
      />
    ),
  };
}
