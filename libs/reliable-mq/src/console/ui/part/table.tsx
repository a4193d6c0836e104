import type { ComponentChildren, JSX } from 'preact';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly isNumber?: boolean;
  /** Takes what the others leave. */
  readonly isWide?: boolean;
  readonly head?: ComponentChildren;
}

interface Props<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
}

/** On a narrow screen each row is a card, with its titles beside the cells; the roles keep it a table to a screen reader. */
export function Table<Row>({ caption, columns, rows, keyOf }: Props<Row>): JSX.Element {
  return (
    <table role="table">
      <caption class="unseen">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ title, isNumber, isWide, head }) => (
            <th key={title} role="columnheader" scope="col" class={classOf(isNumber, isWide)}>
              {head ?? title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row">
            {columns.map(({ title, cell, isNumber, isWide }) => (
              <td key={title} role="cell" data-title={title} class={classOf(isNumber, isWide)}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function classOf(isNumber = false, isWide = false): string {
  return `${isNumber ? 'number ' : ''}${isWide ? 'wide' : ''}`;
}
