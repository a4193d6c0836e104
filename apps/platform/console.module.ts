import { createHash, timingSafeEqual } from 'node:crypto';
import { type CanActivate, type DynamicModule, type ExecutionContext, UnauthorizedException } from '@nestjs/common';
import { ReliableMqConsoleModule } from 'nestjs-reliable-mq/console';
import type { ConsoleSettings } from './settings';

/** What of a request of Express this guard needs. */
interface Request {
  readonly headers: { readonly authorization?: string };
  readonly res: { setHeader(name: string, value: string): void };
  user?: { readonly name: string };
}

/** The console of a service at /reliable-mq. Whoever knows the password may act; the audit has the name that they gave with it. */
export function consoleModule({ password, databases }: ConsoleSettings): DynamicModule {
  return ReliableMqConsoleModule.forRoot({ guards: [new PasswordGuard(password)], role: () => 'act', databases });
}

/** HTTP's basic authentication with one password. A service of your own has a guard already: that one. */
export class PasswordGuard implements CanActivate {
  constructor(private readonly password: string) {}

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    const [name, password] = credentialsOf(request.headers.authorization);
    if (name !== '' && timingSafeEqual(digest(password), digest(this.password))) {
      request.user = { name };
      return true;
    }
    request.res.setHeader('WWW-Authenticate', 'Basic realm="reliable-mq", charset="UTF-8"');
    throw new UnauthorizedException();
  }
}

function credentialsOf(header = ''): [name: string, password: string] {
  const [, encoded = ''] = /^Basic ([A-Za-z0-9+/=]+)$/.exec(header) ?? [];
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon === -1 ? ['', ''] : [text.slice(0, colon), text.slice(colon + 1)];
}

/** Of one length, so that the comparison takes the same time for each. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
