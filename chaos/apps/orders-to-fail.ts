/**
 * An order whose stock keeping unit has such a name makes handlers misbehave: `fault.throw.2.order.created` throws in the
 * first two attempts to handle its order.created. So a chosen order can be told what it causes, and the contract of the apps stays.
 */
export type Misbehaviour = 'throw' | 'hang' | 'kill' | 'reject' | 'abandon';

export interface OrderToFail {
  readonly what: Misbehaviour;
  /** It does so in the first so many attempts. */
  readonly attempts: number;
  readonly eventType: string;
}

/** More attempts than any event gets. */
export const EACH_TIME = 99;

export function skuThatFails({ what, attempts, eventType }: OrderToFail): string {
  return `fault.${what}.${attempts}.${eventType}`;
}

export function readSku(sku: string): OrderToFail | undefined {
  const match = /^fault\.(throw|hang|kill|reject|abandon)\.(\d+)\.(.+)$/.exec(sku);
  if (!match) return undefined;
  return { what: match[1] as Misbehaviour, attempts: Number(match[2]), eventType: match[3] ?? '' };
}

/** Whether such an order is told to end FAILED: inventory can never handle its order.created. */
export function isToldToFail(sku: string): boolean {
  const order = readSku(sku);
  return order?.eventType === 'order.created' && (order.what === 'reject' || order.attempts === EACH_TIME);
}
