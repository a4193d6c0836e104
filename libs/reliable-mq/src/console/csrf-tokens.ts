import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

const RANDOM_BYTES = 16;

/**
 * Tokens that prove that a request comes from a page which this console has answered, and which the same person has loaded: an HMAC over who it
 * is and a random value, as OWASP's CSRF cheat sheet has it for what keeps no sessions. Nothing is stored, so any instance with the secret
 * can check it.
 */
export class CsrfTokens {
  constructor(private readonly secret: string) {}

  issue(actor: string): string {
    const random = randomBytes(RANDOM_BYTES).toString('base64url');
    return `${random}.${this.sign(actor, random)}`;
  }

  isOf(actor: string, token: unknown): boolean {
    if (typeof token !== 'string') return false;
    const [random = '', signature = ''] = token.split('.');
    const [given, right] = [signature, this.sign(actor, random)].map((text) => Buffer.from(text));
    return given !== undefined && right !== undefined && given.length === right.length && timingSafeEqual(given, right);
  }

  /** With the length, so that no actor's text can pass for another one's and a random value. */
  private sign(actor: string, random: string): string {
    return createHmac('sha256', this.secret).update(`${actor.length}!${actor}!${random}`).digest('base64url');
  }
}
