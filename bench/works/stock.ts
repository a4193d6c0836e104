import { SKUS } from './order-payload';

/** What a handler changes. */
export const STOCK: readonly string[] = [
  'CREATE TABLE stock (sku text PRIMARY KEY, quantity int NOT NULL)',
  `INSERT INTO stock SELECT 'sku-' || n, 1000000 FROM generate_series(0, ${SKUS - 1}) AS n`,
];

/** The one statement of a handler: sku and quantity. */
export const DEDUCT = 'UPDATE stock SET quantity = quantity - $2 WHERE sku = $1';
