import { type CanActivate, type ExecutionContext, type INestApplication, Injectable } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { IsString } from 'class-validator';
import {
  EventRecorder,
  RejectEvent,
  ReliableEvent,
  ReliableEventHandler,
  type ReliableMqModuleExtras,
  type ReliableMqOptions,
} from 'nestjs-reliable-mq';
import {
  type ConsoleOptions,
  type ConsoleExtras,
  type ConsoleRequest,
  ReliableMqConsoleModule,
} from 'nestjs-reliable-mq/console';
import { quick, TestApp, type TestAppOptions } from '../support/test-app';

@ReliableEvent({ type: 'thing.made', consumers: ['shop'], key: ({ name }: ThingMade) => name })
export class ThingMade {
  @IsString() name!: string;
  @IsString() secret = 'hunter2';
}

@Injectable()
export class Things {
  readonly handled: string[] = [];
  /** Names of things that no handler takes. */
  readonly refused = new Set<string>();

  constructor(readonly events: EventRecorder) {}

  make(name: string): Promise<string> {
    return this.events.transaction(() => this.events.record(Object.assign(new ThingMade(), { name })));
  }

  @ReliableEventHandler(ThingMade)
  async handle({ name }: ThingMade): Promise<void> {
    if (this.refused.has(name)) throw new RejectEvent(`nobody wants ${name}`);
    this.handled.push(name);
  }
}

/** Who somebody is stands in a header, as a proxy in front of an application would put it there. */
@Injectable()
export class NamedGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ headers: Record<string, string>; user?: unknown }>();
    const name = request.headers['x-name'];
    if (name === undefined) return false;
    request.user = { name };
    return true;
  }
}

/** By their names: what begins with `reader` may read, `stranger` nothing, everybody else may act. */
export function roleOfName({ user }: ConsoleRequest): 'none' | 'read' | 'act' {
  const { name } = user as { readonly name: string };
  if (name === 'stranger') return 'none';
  return name.startsWith('reader') ? 'read' : 'act';
}

export type Http = 'express' | 'fastify';

export interface ConsoleAppOptions extends Omit<TestAppOptions, 'controllers' | 'http'> {
  readonly http?: Http;
  readonly console?: Partial<ConsoleOptions & ConsoleExtras>;
  readonly reliableMq?: Partial<ReliableMqOptions & ReliableMqModuleExtras>;
  readonly onApplication?: (application: INestApplication) => void;
}

/** An application that listens, with a console. */
export function startConsoleApp({ http = 'express', ...options }: ConsoleAppOptions = {}): Promise<TestApp> {
  return TestApp.start({
    providers: [Things],
    ...options,
    imports: [
      ReliableMqConsoleModule.forRoot({ guards: [NamedGuard], role: roleOfName, ...options.console }),
      ...(options.imports ?? []),
    ],
    controllers: [],
    http: http === 'fastify' ? new FastifyAdapter() : undefined,
    reliableMq: quick({ consume: { maxAttempts: 1 }, ...options.reliableMq }),
  });
}

interface Init extends Omit<RequestInit, 'headers'> {
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** Somebody in front of the console, as the page is. */
export class Person {
  private csrf: string | undefined;

  constructor(
    private readonly app: TestApp,
    readonly name: string,
    private readonly path = '/reliable-mq',
  ) {}

  get<Body = unknown>(route: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer<Body>> {
    return this.ask<Body>(`api/${route}`, { headers });
  }

  /** With the token of the session, unless the headers have another one. */
  async post<Body = unknown>(
    route: string,
    body: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<Body>> {
    this.csrf ??= (await this.get<{ csrf: string }>('session')).body.csrf;
    return this.ask<Body>(`api/${route}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'x-reliable-mq-csrf': this.csrf, ...headers },
    });
  }

  /** Of what is no API. */
  async page(route: string): Promise<Answer<string>> {
    const response = await this.fetch(route, { redirect: 'manual' });
    return { status: response.status, headers: response.headers, body: await response.text() };
  }

  private async ask<Body>(route: string, init: Init): Promise<Answer<Body>> {
    const response = await this.fetch(`/${route}`, init);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: JSON.parse(text) as Body };
  }

  private fetch(route: string, init: Init): Promise<Response> {
    const named = { 'x-name': this.name, connection: 'close' };
    return fetch(`${this.app.url}${this.path}${route}`, { ...init, headers: { ...named, ...init.headers } });
  }
}
