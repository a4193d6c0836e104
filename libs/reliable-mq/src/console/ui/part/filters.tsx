import type { JSX } from 'preact';
import { useId } from 'preact/hooks';
import { useConsole } from '../state/console';
import { go, without } from '../state/route';
import { useWords } from '../text/words';

export interface Field {
  readonly name: string;
  readonly label: string;
  /** To choose from, besides any. */
  readonly choices?: Readonly<Record<string, string>>;
  readonly isFlag?: boolean;
}

interface Props {
  readonly fields: readonly Field[];
  /** For a field that leads elsewhere; true: it has gone there. */
  readonly onApply?: (values: Readonly<Record<string, string>>) => boolean;
}

/** The filter of a list. What is applied stands in the URL, and the form is filled from there. */
export function Filters({ fields, onApply }: Props): JSX.Element {
  const { t } = useWords();
  const { route } = useConsole();
  const { source } = route.params;
  const filter = without(route.params, 'source', 'before', 'limit');
  const place = source === undefined ? {} : { source };
  const apply = (form: HTMLFormElement): void => {
    const values = Object.fromEntries(
      [...new FormData(form)].map(([name, value]) => [name, typeof value === 'string' ? value.trim() : '']),
    );
    if (onApply?.(values)) return;
    go(route.page, { ...place, ...values });
  };
  return (
    <form
      class="filters"
      role="search"
      aria-label={t.events.filters}
      key={JSON.stringify(filter)}
      onSubmit={(event) => {
        event.preventDefault();
        apply(event.currentTarget);
      }}
    >
      {fields.map((field) => (
        <Input key={field.name} field={field} value={route.params[field.name] ?? ''} />
      ))}
      <span class="buttons">
        <button type="submit" class="primary">
          {t.events.apply}
        </button>
        {Object.keys(filter).length > 0 && (
          <button type="button" onClick={() => go(route.page, place)}>
            {t.events.clear}
          </button>
        )}
      </span>
    </form>
  );
}

function Input({ field, value }: { readonly field: Field; readonly value: string }): JSX.Element {
  const { t } = useWords();
  const id = useId();
  const { name, label, choices, isFlag } = field;
  if (isFlag) {
    return (
      <label class="check">
        <input type="checkbox" name={name} value="true" defaultChecked={value === 'true'} /> {label}
      </label>
    );
  }
  return (
    <span class="field">
      <label for={id}>{label}</label>
      {choices ? (
        <select id={id} name={name} defaultValue={value}>
          <option value="">{t.events.any}</option>
          {Object.entries(choices).map(([choice, text]) => (
            <option key={choice} value={choice} selected={choice === value}>
              {text}
            </option>
          ))}
        </select>
      ) : (
        <input id={id} name={name} defaultValue={value} maxLength={200} spellcheck={false} autocomplete="off" />
      )}
    </span>
  );
}
