import { basename, dirname } from 'node:path';
import { cleanText } from './clean-text';

/** Of a place. */
export const PLACE_MAX_LENGTH = 200;
/** Of a stack that is looked at, in characters. */
const MAX_STACK = 20_000;
/** Causes of causes that are looked at. */
const MAX_CAUSES = 5;
/** `at async Stock.deduct (/app/stock.ts:41:7)`, `at /app/stock.ts:41:7`, `at file:///app/stock.mjs:41:7`. */
const FRAME = /^\s*at (?:async )?(?:(?<name>.+?) \()?(?<file>[^()\s][^()]*?):(?<line>\d+):\d+\)?$/;
/** Of packages, and of Node itself. */
const FOREIGN = /[\\/]node_modules[\\/]|^node:|^internal[\\/]/;

/** Where this package's own files are, where they are not in node_modules. */
const OWN_FOLDER = ownFolder();

/**
 * Where the application threw what was thrown: the first frame of the stack that is neither of a package nor of Node, or the first such one of its
 * causes, as `StockService.deduct (stock.service.ts:41)`.
 * @returns undefined when there is none, as of what is no error
 */
export function thrownAt(error: unknown): string | undefined {
  let each = error;
  for (let depth = 0; depth <= MAX_CAUSES && typeof each === 'object' && each !== null; depth += 1) {
    const place = firstFrame(read(each, 'stack'));
    if (place !== undefined) return place;
    each = read(each, 'cause');
  }
  return undefined;
}

/** The same place whatever lines a release has moved. */
export function withoutLine(place: string): string {
  return place.replace(/:\d+(?=\)?$)/, '');
}

function firstFrame(stack: unknown): string | undefined {
  if (typeof stack !== 'string') return undefined;
  for (const text of stack.slice(0, MAX_STACK).split('\n')) {
    const { name, file, line } = FRAME.exec(text)?.groups ?? {};
    if (file === undefined || FOREIGN.test(file) || isOwn(file)) continue;
    const where = `${basename(file.replaceAll('\\', '/'))}:${line}`;
    return cleanText(name === undefined ? where : `${name} (${where})`, PLACE_MAX_LENGTH);
  }
  return undefined;
}

function isOwn(file: string): boolean {
  return OWN_FOLDER !== undefined && file.includes(OWN_FOLDER);
}

/** Two folders above this file, whatever kind of module it is. */
function ownFolder(): string | undefined {
  const [, first = ''] = (new Error('where am I').stack ?? '').split('\n');
  const file = FRAME.exec(first)?.groups?.['file']?.replace(/^file:\/\//, '');
  return file === undefined ? undefined : `${dirname(dirname(file))}/`;
}

function read(value: object, key: 'stack' | 'cause'): unknown {
  try {
    return (value as Readonly<Record<string, unknown>>)[key];
  } catch {
    return undefined;
  }
}
