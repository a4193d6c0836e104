import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Session } from '../../api';
import type { Client } from './client';
import type { Route } from './route';

/** What every page has at hand. */
export interface Console {
  readonly client: Client;
  readonly session: Session;
  readonly route: Route;
  /** Told in a live region, and shown for a while; `link` leads to where it can be seen. */
  readonly announce: (text: string, link?: { readonly text: string; readonly href: string }) => void;
}

export const ConsoleContext = createContext<Console | undefined>(undefined);

export function useConsole(): Console {
  const console = useContext(ConsoleContext);
  if (!console) throw new Error('Used outside of the console.');
  return console;
}

/** The database that the URL names, or the first. */
export function sourceOf({ route, session }: Console): string {
  return route.params.source ?? session.sources[0]?.name ?? '';
}

/** Whether rows of a database may be changed by who looks. */
export function mayAct({ session }: Console, source: string): boolean {
  return session.role === 'act' && session.sources.some(({ name, isOwn }) => isOwn && name === source);
}
