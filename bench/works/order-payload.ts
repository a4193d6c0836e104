/** What an order says in an event of ordinary size: about 500 bytes of JSON. */
export interface OrderPayload {
  readonly orderId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly customer: string;
  readonly address: string;
  readonly placedAt: string;
  readonly note: string;
}

export const EVENT_TYPE = 'bench.order-placed';
export const SKUS = 1_000;

export const NOTE =
  'Leave it with the neighbour if nobody answers; the bell of the second floor is the one that works. '.repeat(2);

export function payload(orderId: string, number: number): OrderPayload {
  return {
    orderId,
    sku: `sku-${number % SKUS}`,
    quantity: 1 + (number % 7),
    customer: 'Grace Brewster Murray Hopper',
    address: '1 Compiler Street, 10001 New York, United States of America',
    placedAt: '2026-01-01T00:00:00.000Z',
    note: NOTE,
  };
}

/** The same payload as SQL, of the row number `n`, whose id is `id`. */
export const PAYLOAD_SQL = `json_build_object('orderId', id, 'sku', 'sku-' || n % ${SKUS}, 'quantity', 1 + n % 7,
  'customer', 'Grace Brewster Murray Hopper', 'address', '1 Compiler Street, 10001 New York, United States of America',
  'placedAt', '2026-01-01T00:00:00.000Z', 'note', '${NOTE}')`;
