import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

/** What TypeORM calls the databases that the services run on. */
export type DatabaseKind = 'postgres' | 'mysql' | 'mariadb';

const KINDS: Readonly<Record<string, DatabaseKind>> = {
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mariadb',
};

/** @returns undefined when the url is none of a database that the services can use */
export function databaseKindOf(url: string): DatabaseKind | undefined {
  return URL.canParse(url) ? KINDS[new URL(url).protocol] : undefined;
}

/** For migrations, whose statements differ. */
export function isPostgres(queryRunner: QueryRunner): boolean {
  return dataSourceOf(queryRunner).options.type === 'postgres';
}

/** TypeORM 1 calls it `dataSource`, 0.3 `connection`. */
export function dataSourceOf(owner: QueryRunner | EntityManager): DataSource {
  const { dataSource } = owner as { readonly dataSource?: DataSource };
  return dataSource ?? (owner as { readonly connection: DataSource }).connection;
}
