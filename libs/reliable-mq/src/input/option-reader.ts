import type { Backoff } from '../wait/backoff';
import { suggest } from './suggest';

/** Reads one group of the user's options: gives each value or its default, and collects every problem. */
export class OptionReader {
  private readonly source: Readonly<Record<string, unknown>>;
  private readonly known = new Set<string>();

  constructor(
    source: unknown,
    private readonly path: string,
    private readonly problems: string[],
  ) {
    if (source === undefined || isRecord(source)) {
      this.source = source ?? {};
    } else {
      this.source = {};
      problems.push(`${path || 'options'} must be an object, got ${show(source)}.`);
    }
  }

  name(key: string): string {
    return this.path ? `${this.path}.${key}` : key;
  }

  raw(key: string): unknown {
    this.known.add(key);
    return this.source[key];
  }

  group(key: string): OptionReader {
    return new OptionReader(this.raw(key), this.name(key), this.problems);
  }

  /** A whole number from `min` to `max`. */
  integer(key: string, defaultValue: number, min: number, max: number): number {
    const value = this.raw(key);
    if (value === undefined) return defaultValue;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    this.problems.push(`${this.name(key)} must be a whole number from ${min} to ${max}, got ${show(value)}.`);
    return defaultValue;
  }

  /** A number from `min` to `max`. */
  number(key: string, defaultValue: number, min: number, max: number): number {
    const value = this.raw(key);
    if (value === undefined) return defaultValue;
    if (typeof value === 'number' && value >= min && value <= max) return value;
    this.problems.push(`${this.name(key)} must be a number from ${min} to ${max}, got ${show(value)}.`);
    return defaultValue;
  }

  boolean(key: string, defaultValue: boolean): boolean {
    const value = this.raw(key);
    if (value === undefined) return defaultValue;
    if (typeof value === 'boolean') return value;
    this.problems.push(`${this.name(key)} must be true or false, got ${show(value)}.`);
    return defaultValue;
  }

  choice<T extends string>(key: string, defaultValue: T, choices: readonly T[]): T {
    const value = this.raw(key);
    if (value === undefined) return defaultValue;
    if (choices.includes(value as T)) return value as T;
    this.problems.push(`${this.name(key)} must be one of ${choices.map(show).join(', ')}, got ${show(value)}.`);
    return defaultValue;
  }

  /** A text of at most `maxLength` characters that fits the pattern. */
  text(key: string, defaultValue: string | undefined, pattern: RegExp, maxLength: number, form: string): string {
    const value = this.raw(key);
    if (value === undefined && defaultValue !== undefined) return defaultValue;
    if (typeof value === 'string' && value.length <= maxLength && pattern.test(value)) return value;
    const got = value === undefined ? 'it is missing' : `got ${show(value)}`;
    this.problems.push(`${this.name(key)} must be ${form}, at most ${maxLength} characters; ${got}.`);
    return defaultValue ?? '';
  }

  /** Only what the user wrote can contradict itself: a default gives way to the other bound. */
  backoff(key: string, defaults: Backoff): Backoff {
    const group = this.group(key);
    const day = 24 * 60 * 60 * 1000;
    const ownMaxMs = group.raw('maxMs');
    const lowest = typeof ownMaxMs === 'number' ? Math.min(defaults.initialMs, ownMaxMs) : defaults.initialMs;
    const initialMs = group.integer('initialMs', lowest, 1, day);
    const maxMs = group.integer('maxMs', Math.max(defaults.maxMs, initialMs), 1, 7 * day);
    const jitter = group.number('jitter', defaults.jitter, 0, 1);
    group.refuseUnknown();
    if (maxMs < initialMs) {
      this.problems.push(
        `${group.name('maxMs')} (${maxMs}) must not be below ${group.name('initialMs')} (${initialMs}).`,
      );
    }
    return { initialMs, maxMs, jitter };
  }

  /** Call after the last read: every key that nobody asked for is a problem. */
  refuseUnknown(): void {
    for (const key of Object.keys(this.source)) {
      if (this.known.has(key)) continue;
      const meant = suggest(key, [...this.known]);
      this.problems.push(`Unknown option "${this.name(key)}"${meant ? `; did you mean "${this.name(meant)}"?` : '.'}`);
    }
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether it is an object that was written as one, and no instance of a class. */
export function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** A value as it may stand in a message: short, and never an object's content. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 59)}…` : value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}
