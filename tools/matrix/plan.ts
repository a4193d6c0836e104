import { type Axis, KNOWN, NODE_FOR_NEST_12, type Versions } from './versions';

/**
 * The rows to run: the one that is asked for, or what is here and then each version of each axis by itself. The cross product
 * would be some hundreds.
 */
export function rowsOf(asked: Versions): readonly Versions[] {
  if (Object.keys(asked).length > 0) return [completed(asked)];
  const axes = Object.entries(KNOWN) as [Axis, readonly string[]][];
  return [{}, ...axes.flatMap(([axis, versions]) => versions.map((version) => completed({ [axis]: version })))];
}

/** E.g. "RabbitMQ 4.3, PostgreSQL 18". */
export function nameOf(row: Versions): string {
  const parts = Object.entries(row).map(([axis, version]) => `${PRODUCTS[axis as Axis]} ${version}`);
  return parts.length === 0 ? 'as it is here' : parts.join(', ');
}

const PRODUCTS: Readonly<Record<Axis, string>> = {
  node: 'Node',
  nest: 'Nest',
  typeorm: 'TypeORM',
  rabbitmq: 'RabbitMQ',
  postgres: 'PostgreSQL',
  mariadb: 'MariaDB',
  mysql: 'MySQL',
};

function completed(row: Versions): Versions {
  return row.nest === '12' && row.node === undefined ? { node: NODE_FOR_NEST_12, ...row } : row;
}
