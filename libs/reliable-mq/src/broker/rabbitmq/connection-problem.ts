import { describeError } from '../../event/errors';
import { maskUri } from '../../log/mask-uri';
import type { Endpoint } from './connection-source';

/** `amqp://user:***@host:5672/vhost`, without query: what reasons and logs say of a URI. */
export function uriForPeople(uri: string): string {
  return maskUri(uri.split('?', 1)[0] ?? uri);
}

/** Why connecting failed, in words that say what to correct. */
export function describeConnectFailure(error: unknown, { uri, username }: Endpoint): string {
  const text = errorText(error);
  // amqplib words the handshake's failures; the broker's own words are inside, or (for the virtual host) lost.
  if (text.includes('ACCESS_REFUSED') || text.includes('ACCESS-REFUSED')) {
    return `ACCESS_REFUSED: the broker does not accept the password of user "${username}", or there is no such user`;
  }
  if (text.includes('Expected ConnectionOpenOk')) {
    return `the broker closed the connection instead of opening virtual host "${vhostOf(uri)}": it does not exist, user "${username}" may not use it, or it allows no more connections`;
  }
  return maskUri(text);
}

/** Why an open connection ended. */
export function describeConnectionLoss(error: unknown): string {
  return error === undefined || error === null ? 'closed' : maskUri(errorText(error));
}

function errorText(error: unknown): string {
  // A name with several addresses (localhost: ::1 and 127.0.0.1) fails with one error that holds theirs and says nothing itself.
  const { message, errors } = (error ?? {}) as { message?: unknown; errors?: unknown };
  if (Array.isArray(errors) && errors.length > 0) return errors.map(errorText).join(', ');
  return typeof message === 'string' && message ? message.replace(/\s+/g, ' ').trim() : describeError(error);
}

function vhostOf(uri: string): string {
  const { pathname } = new URL(uri);
  try {
    return decodeURIComponent(pathname.slice(1)) || '/';
  } catch {
    return pathname.slice(1);
  }
}
