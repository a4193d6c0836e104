import { Inject, Injectable } from '@nestjs/common';
import { describeError } from '../event/errors';
import { createLog } from '../log/log';
import { cleanText } from '../log/clean-text';
import { ActionRate } from './action-rate';
import { ConsoleError } from './console-problem';
import type { ConsoleRequest, ConsoleRole, ResolvedConsoleOptions } from './console-options';
import { CONSOLE_OPTIONS } from './console-tokens';
import { CsrfTokens } from './csrf-tokens';

/** The header that every action carries: no form sends it, and no other site's script may, without being asked for leave first. */
export const CSRF_HEADER = 'x-reliable-mq-csrf';

/** As much as the audit takes. */
const MAX_ACTOR_LENGTH = 200;
/** Of `request.user`, in this order. */
const NAMES = ['email', 'username', 'name', 'sub', 'id'];
const NOBODY = 'console';

const ROLES: Readonly<Record<ConsoleRole, true>> = { none: true, read: true, act: true };

/** The person behind a request. */
export interface Visitor {
  readonly role: 'read' | 'act';
  readonly actor: string;
}

/** Who may do what. The guards have let the request in already. */
@Injectable()
export class Access {
  private readonly log = createLog();
  private readonly csrf: CsrfTokens;
  private readonly rate: ActionRate;

  constructor(@Inject(CONSOLE_OPTIONS) private readonly options: ResolvedConsoleOptions) {
    this.csrf = new CsrfTokens(options.csrfSecret);
    this.rate = new ActionRate(options.actionsPerMinute);
  }

  /** @throws ConsoleError NOT_ALLOWED */
  async visitor(request: ConsoleRequest): Promise<Visitor> {
    const role = await this.roleOf(request);
    if (role === 'none') throw new ConsoleError(403, 'NOT_ALLOWED', 'You may not see this console.');
    return { role, actor: this.actorOf(request) };
  }

  /** Of what is read by scripts, which only the console's own page may. @throws ConsoleError NOT_ALLOWED, CSRF */
  async reader(request: ConsoleRequest): Promise<Visitor> {
    refuseOtherSites(request);
    return this.visitor(request);
  }

  /** Of what changes something. @throws ConsoleError NOT_ALLOWED, CSRF, TOO_MANY */
  async actor(request: ConsoleRequest): Promise<Visitor> {
    const visitor = await this.reader(request);
    if (visitor.role !== 'act')
      throw new ConsoleError(403, 'NOT_ALLOWED', 'You may look at everything here, and change nothing.');
    if (!this.csrf.isOf(visitor.actor, headerOf(request, CSRF_HEADER))) {
      throw new ConsoleError(
        403,
        'CSRF',
        `The header ${CSRF_HEADER} is missing, or is not of this session: load the page again.`,
      );
    }
    if (!this.rate.take(visitor.actor)) {
      throw new ConsoleError(
        429,
        'TOO_MANY',
        `You have done more than ${this.options.actionsPerMinute} things within a minute. Wait a little; a filter does many at once.`,
      );
    }
    return visitor;
  }

  csrfOf({ actor }: Visitor): string {
    return this.csrf.issue(actor);
  }

  private async roleOf(request: ConsoleRequest): Promise<ConsoleRole> {
    if (!this.options.role) return 'read';
    try {
      const role: unknown = await this.options.role(request);
      if (typeof role === 'string' && Object.hasOwn(ROLES, role)) return role as ConsoleRole;
      this.log.warn("The console's option role returned what is no role: nobody comes in by it", { type: typeof role });
    } catch (error) {
      this.log.warn("The console's option role failed: nobody comes in by it", { error: describeError(error) });
    }
    return 'none';
  }

  private actorOf(request: ConsoleRequest): string {
    const { actor } = this.options;
    let name: unknown;
    try {
      name = actor ? actor(request) : nameOf(request.user);
    } catch (error) {
      this.log.warn("The console's option actor failed", { error: describeError(error) });
    }
    const text = typeof name === 'string' || typeof name === 'number' ? cleanText(String(name), MAX_ACTOR_LENGTH) : '';
    if (text !== '') return text;
    if (actor) throw new ConsoleError(403, 'NOT_ALLOWED', 'The option actor of the console does not say who you are.');
    return NOBODY;
  }
}

/**
 * A browser says from where a request comes. What another site's page has sent with this person's cookies is refused, reading too: an
 * application that allows other origins everything (CORS) would let them read the CSRF token. What is no browser says nothing of it.
 */
function refuseOtherSites(request: ConsoleRequest): void {
  const site = headerOf(request, 'sec-fetch-site');
  if (site === 'same-origin' || site === 'none') return;
  const origin = headerOf(request, 'origin');
  // Over http to other hosts than this one browsers do not send the first header.
  if (site === undefined && (origin === undefined || hostOf(origin) === headerOf(request, 'host'))) return;
  throw new ConsoleError(
    403,
    'CSRF',
    'This request comes from the page of another origin. Behind a proxy, keep the Host header as the browser sent it, or use HTTPS.',
  );
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

export function headerOf({ headers }: ConsoleRequest, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}

function nameOf(user: unknown): unknown {
  if (typeof user === 'string') return user;
  if (typeof user !== 'object' || user === null) return undefined;
  return NAMES.map((name) => (user as Readonly<Record<string, unknown>>)[name]).find(
    (value) => (typeof value === 'string' && value !== '') || typeof value === 'number',
  );
}
