/** Where the page is: in the URL's hash, so that it can be sent to a colleague, and the server needs one route only. */
export interface Route {
  readonly page: PageName;
  readonly params: Params;
}

export type PageName = (typeof PAGES)[number];
export type Params = Readonly<Record<string, string>>;

export const PAGES = [
  'now',
  'events',
  'event',
  'handlings',
  'journey',
  'failures',
  'consumers',
  'audit',
  'runs',
] as const;

/** @param hash e.g. `#/events?status=dead`; what is not known leads to the first page */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s);
  const page = PAGES.find((name) => name === path);
  if (!page) return { page: 'now', params: {} };
  return { page, params: withoutEmpty(Object.fromEntries(new URLSearchParams(query))) };
}

/** The hash of a place; params without a value are left out, and the rest are in a fixed order: one place has one URL. */
export function hrefOf(page: PageName, params: Readonly<Record<string, string | undefined>> = {}): string {
  const query = new URLSearchParams(withoutEmpty(params));
  query.sort();
  const text = query.toString();
  return text === '' ? `#/${page}` : `#/${page}?${text}`;
}

export function withoutEmpty(params: Readonly<Record<string, string | undefined>>): Params {
  return Object.fromEntries(
    Object.entries(params).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  );
}

export function without(params: Params, ...names: readonly string[]): Params {
  return Object.fromEntries(Object.entries(params).filter(([name]) => !names.includes(name)));
}

export function go(page: PageName, params: Readonly<Record<string, string | undefined>> = {}): void {
  location.hash = hrefOf(page, params);
}
