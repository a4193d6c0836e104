import type { ComponentChildren, JSX } from 'preact';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  readonly isNumber?: boolean;
  /** Takes what the others leave. */
  readonly isWide?: boolean;
  /** A name that may be long: it keeps some width. */
  readonly isName?: boolean;
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
          {columns.map(({ title, isNumber, isWide, isName, head }) => (
            <th
              key={title}
              role="columnheader"
              scope="col"
              class={classOf({ number: isNumber, wide: isWide, name: isName })}
            >
              {head ?? title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row">
            {columns.map(({ title, cell, isNumber, isWide, isName }) => (
              <td
                key={title}
                role="cell"
                data-title={title}
                class={classOf({ number: isNumber, wide: isWide, name: isName })}
              >
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function classOf(names: Readonly<Record<string, boolean | undefined>>): string {
  return Object.keys(names)
    .filter((name) => names[name])
    .join(' ');
}
