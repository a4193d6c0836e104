import { SKUS } from './order-payload';

/** What a handler changes. */
export const STOCK: readonly string[] = [
  'CREATE TABLE stock (sku text PRIMARY KEY, quantity int NOT NULL)',
  `INSERT INTO stock SELECT 'sku-' || n, 1000000 FROM generate_series(0, ${SKUS - 1}) AS n`,
];

/** The one statement of a handler: sku and quantity. */
export const DEDUCT = 'UPDATE stock SET quantity = quantity - $2 WHERE sku = $1';

/** The same for MariaDB: quantity and sku. */
export const DEDUCT_BY_MARKS = 'UPDATE stock SET quantity = quantity - ? WHERE sku = ?';

/** The same for many orders: what is taken of each article, and of all articles, in one statement. */
export const DEDUCT_ALL = `UPDATE stock AS s SET quantity = s.quantity - taken.quantity
  FROM (SELECT sku, sum(quantity)::int AS quantity FROM unnest($1::text[], $2::int[]) AS each (sku, quantity) GROUP BY sku) AS taken
  WHERE s.sku = taken.sku`;
