import { suggest } from '../../input/suggest';
import { type Given, type OptionSpec, UsageError } from './command';

const HELP: OptionSpec = { name: 'help', help: 'this text' };

/**
 * Reads what stands behind a command's name.
 * @throws UsageError
 */
export function readArguments(args: readonly string[], options: readonly OptionSpec[], takesWords: boolean): Given {
  const rest = [...args];
  const words: string[] = [];
  const values = new Map<string, string[]>();
  for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
    if (!next.startsWith('--')) {
      if (!takesWords) throw new UsageError(`unknown argument "${next}"`);
      words.push(next);
      continue;
    }
    const [name = '', ...assigned] = next.split('=');
    const option = options.find((each) => `--${each.name}` === name);
    if (!option) {
      const known = [...options, HELP].map((each) => `--${each.name}`);
      throw new UsageError(`unknown argument "${next}"${didYouMean(name, known)}`);
    }
    const before = values.get(option.name);
    if (before && !option.isMany) throw new UsageError(`${name} is given twice`);
    const value = readValue(option, assigned.length > 0 ? assigned.join('=') : undefined, rest);
    values.set(option.name, [...(before ?? []), value]);
  }
  const texts = (name: string): readonly string[] => values.get(name) ?? [];
  return {
    words,
    texts,
    text: (name) => texts(name)[0],
    number: (name) => (values.has(name) ? Number(texts(name)[0]) : undefined),
    flag: (name) => values.has(name),
  };
}

function readValue(option: OptionSpec, assigned: string | undefined, rest: string[]): string {
  const name = `--${option.name}`;
  if (option.value === undefined) {
    if (assigned !== undefined) throw new UsageError(`${name} takes no value`);
    return '';
  }
  const value = assigned ?? rest.shift();
  if (!value || (assigned === undefined && value.startsWith('--')))
    throw new UsageError(`${name} needs ${option.isNumber ? 'a number' : 'a value'} after it`);
  if (option.isNumber && !/^\d+(\.\d+)?$/.test(value))
    throw new UsageError(`${name} needs a number from 0 after it, not "${value}"`);
  if (option.choices && !option.choices.includes(value)) {
    const known = option.choices.join(', ');
    throw new UsageError(`${name} cannot be "${value}" (there is ${known})${didYouMean(value, option.choices)}`);
  }
  return value;
}

export function didYouMean(word: string, candidates: readonly string[]): string {
  const candidate = suggest(word, candidates);
  return candidate === undefined ? '' : `; did you mean "${candidate}"?`;
}
