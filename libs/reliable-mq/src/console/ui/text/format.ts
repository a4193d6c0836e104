const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** From the largest down; a duration is told in the first of which it has at least one. */
const UNITS = [
  ['day', DAY_MS],
  ['hour', HOUR_MS],
  ['minute', MINUTE_MS],
  ['second', SECOND_MS],
  ['millisecond', 1],
] as const;

/** Numbers and times as a person of the language reads them. */
export interface Format {
  readonly number: (value: number) => string;
  /** A number that counting stopped at is this, or more. */
  readonly capped: (value: number, cap: number) => string;
  readonly rate: (perSecond: number) => string;
  readonly duration: (ms: number) => string;
  /** How long before `nowMs`, or after. */
  readonly relative: (iso: string, nowMs: number) => string;
  readonly dateTime: (iso: string) => string;
}

/** @param locale BCP 47, e.g. `zh-CN` */
export function formatFor(locale: string): Format {
  const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const fine = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' });
  const inUnit = (value: number, unit: string): string =>
    new Intl.NumberFormat(locale, {
      style: 'unit',
      unit,
      unitDisplay: 'short',
      maximumFractionDigits: unit === 'millisecond' || value >= 10 ? 0 : 1,
    }).format(value);

  return {
    number: (value) => whole.format(value),
    capped: (value, cap) => (value >= cap ? `${whole.format(cap)}+` : whole.format(value)),
    rate: (perSecond) => `${(perSecond < 10 ? fine : whole).format(perSecond)}/s`,
    duration: (ms) => {
      const [unit, unitMs] = UNITS.find(([, size]) => ms >= size) ?? ['second', SECOND_MS];
      return inUnit(ms / unitMs, unit);
    },
    relative: (iso, nowMs) => {
      const ms = Date.parse(iso) - nowMs;
      if (Number.isNaN(ms)) return iso;
      const [unit, unitMs] = UNITS.find(([name, size]) => name !== 'millisecond' && Math.abs(ms) >= size) ?? [
        'second',
        SECOND_MS,
      ];
      return relative.format(Math.trunc(ms / unitMs), unit as Intl.RelativeTimeFormatUnit);
    },
    dateTime: (iso) => (Number.isNaN(Date.parse(iso)) ? iso : dateTime.format(new Date(iso))),
  };
}
