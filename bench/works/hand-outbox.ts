/** The outbox of somebody who writes it by hand: as small as it can be and still be drained by several processes. */
export const HAND_OUTBOX = [
  `CREATE TABLE outbox (id uuid PRIMARY KEY, type text NOT NULL, payload json NOT NULL, due_at timestamptz, created_at timestamptz NOT NULL DEFAULT now())`,
  `CREATE INDEX outbox_due ON outbox (due_at) WHERE due_at IS NOT NULL`,
] as const;

export const ORDERS_TABLE = `CREATE TABLE orders (id uuid PRIMARY KEY, sku text NOT NULL, quantity int NOT NULL, created_at timestamptz NOT NULL DEFAULT now())`;
