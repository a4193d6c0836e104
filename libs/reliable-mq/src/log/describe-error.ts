import { inspect, types } from 'node:util';
import { cleanText, cutText } from './clean-text';

const MAX_LENGTH = 1000;
/** Causes of causes that are told. */
const MAX_CAUSES = 5;
/** Errors of one AggregateError that are told, and keys of an object that is none. */
const MAX_MEMBERS = 10;
const UNREADABLE = 'something was thrown that has no text';
const CAUSED_BY = ', caused by ';

/** What is known of errors besides what they say themselves. */
const remarks = new WeakMap<object, string>();

/** Let `describeError` say more of an error, which itself stays what it is: others look at its class and its code. */
export function remarkOn(error: unknown, remark: string): void {
  if (typeof error === 'object' && error !== null) remarks.set(error, remark);
}

/**
 * The text of whatever was thrown, with its causes, in one line of at most `maxLength` characters that any database and any logger takes.
 * Of an object that is no error it names the class and the keys: its values may be a request with a customer's data, or credentials.
 */
export function describeError(error: unknown, maxLength = MAX_LENGTH): string {
  const texts: string[] = [];
  for (const each of withCauses(error)) {
    const text = cleanText(textOf(each), maxLength);
    // Many wrap an error and repeat what it says.
    if (!texts.some((known) => known.includes(text))) texts.push(text);
  }
  const whole = texts.join(CAUSED_BY);
  if (whole.length <= maxLength) return whole;
  // Each keeps its beginning: the last one is where it began, and says the most.
  const share = Math.max(1, Math.floor(maxLength / texts.length) - CAUSED_BY.length);
  const cut = texts.map((text) => cutText(text, share)).join(CAUSED_BY);
  return cutText(texts.length === 1 ? whole : cut, maxLength);
}

/** The error, its cause, the cause's cause: each once. */
function withCauses(error: unknown): readonly unknown[] {
  const chain = [error];
  while (chain.length <= MAX_CAUSES) {
    const cause = read(chain.at(-1), 'cause');
    if (cause === undefined || cause === null || chain.includes(cause) || !isError(chain.at(-1))) break;
    chain.push(cause);
  }
  return chain;
}

/** @param nested one of the errors that an AggregateError holds: its own are left out, they could hold it again */
function textOf(thrown: unknown, nested = false): string {
  try {
    return isError(thrown) ? errorText(thrown, nested) : valueText(thrown);
  } catch {
    return UNREADABLE;
  }
}

function errorText(error: Error, nested: boolean): string {
  const name = read(error, 'name');
  const message = messageText(read(error, 'message'));
  const answer = answerOf(error);
  const remark = remarks.get(error);
  const parts = [
    typeof name === 'string' ? cleanText(name, MAX_LENGTH) : 'Error',
    cleanText(message, MAX_LENGTH),
    answer === message ? '' : answer,
    nested ? '' : membersOf(error),
  ];
  const text = parts.filter((part) => part !== '').join(': ');
  return remark ? `${text} (${remark})` : text;
}

/** Some give an object as an error's message, which is written to be read as much as a text is. */
export function messageText(message: unknown): string {
  if (typeof message === 'string') return message;
  if (message === undefined || message === null) return '';
  return inspect(message, { depth: 1, breakLength: Infinity, maxStringLength: MAX_LENGTH, customInspect: false });
}

/** The errors of an AggregateError, as of a connection refused on each of a host's addresses. */
function membersOf(error: Error): string {
  const members: unknown = read(error, 'errors');
  if (!Array.isArray(members)) return '';
  const told = members.filter((member) => typeof member === 'string' || isError(member));
  const texts = told.slice(0, MAX_MEMBERS).map((member) =>
    withCauses(member)
      .map((each) => textOf(each, true))
      .join(CAUSED_BY),
  );
  return [...new Set(texts), ...(told.length > MAX_MEMBERS ? [`${told.length - MAX_MEMBERS} more`] : [])].join(', ');
}

/** What a client would be told of one of Nest's HTTP exceptions: only there are the problems that a ValidationPipe found. */
function answerOf(error: Error): string {
  try {
    const response = (error as { getResponse?(): unknown }).getResponse?.();
    const { message = [] } = response as { readonly message?: unknown };
    return [message].flat().map(messageText).join(', ');
  } catch {
    return '';
  }
}

function valueText(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value !== 'object' || value === null) return String(value);
  const keys = Object.keys(value);
  const shown = keys.slice(0, MAX_MEMBERS).map((key) => cleanText(key, 50));
  const more = keys.length > MAX_MEMBERS ? ['…'] : [];
  return `no Error but an object: ${className(value)} { ${[...shown, ...more].join(', ')} }`;
}

function className(value: object): string {
  const { name } = ((Object.getPrototypeOf(value) as object | null)?.constructor ?? {}) as { readonly name?: unknown };
  return typeof name === 'string' ? name : 'without class';
}

/** Also one of another realm, such as Node's own errors inside a test runner's sandbox. */
function isError(value: unknown): value is Error {
  try {
    return value instanceof Error || types.isNativeError(value);
  } catch {
    return false;
  }
}

function read(value: unknown, key: string): unknown {
  try {
    return (value as Readonly<Record<string, unknown>> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}
