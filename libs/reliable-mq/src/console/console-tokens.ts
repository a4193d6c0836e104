/** Injection token of the options as the application wrote them. */
export const GIVEN_CONSOLE_OPTIONS = Symbol('ReliableMqConsole:GivenOptions');

/** Injection token of the options, complete and checked. */
export const CONSOLE_OPTIONS = Symbol('ReliableMqConsole:Options');

/** Injection token of path and guards, which Nest takes out of the options. */
export const CONSOLE_EXTRAS = Symbol('ReliableMqConsole:Extras');
