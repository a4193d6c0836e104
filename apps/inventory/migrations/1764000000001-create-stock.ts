import type { MigrationInterface, QueryRunner } from 'typeorm';
import { isPostgres } from '../../platform/database-kind';

export class CreateStock1764000000001 implements MigrationInterface {
  readonly name = 'CreateStock1764000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of isPostgres(queryRunner) ? POSTGRES : MYSQL) await queryRunner.query(statement);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE deductions');
    await queryRunner.query('DROP TABLE stock');
  }
}

const POSTGRES = [
  `CREATE TABLE "stock" (
    "sku" character varying(64) PRIMARY KEY,
    "available" integer NOT NULL CHECK ("available" >= 0)
  ) WITH (fillfactor = 50)`,
  `CREATE TABLE "deductions" (
    "order_id" uuid PRIMARY KEY,
    "sku" character varying(64) NOT NULL,
    "quantity" integer NOT NULL CHECK ("quantity" > 0),
    "state" character varying(9) NOT NULL CHECK ("state" IN ('TAKEN', 'REFUSED', 'CANCELLED')),
    "reason" text,
    "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
  )`,
  `CREATE INDEX "deductions_taken" ON "deductions" ("sku") WHERE "state" = 'TAKEN'`,
];

/**
 * DDL is not transactional there: what a process that died has made stays, and is not made again. There are no partial indexes either.
 */
const MYSQL = [
  `CREATE TABLE IF NOT EXISTS stock (
    sku varchar(64) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY,
    available integer NOT NULL CHECK (available >= 0)
  ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4`,
  `CREATE TABLE IF NOT EXISTS deductions (
    order_id char(36) CHARACTER SET ascii COLLATE ascii_general_ci PRIMARY KEY,
    sku varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    state varchar(9) NOT NULL CHECK (state IN ('TAKEN', 'REFUSED', 'CANCELLED')),
    reason text,
    created_at datetime(6) NOT NULL DEFAULT current_timestamp(6),
    INDEX deductions_by_sku (sku, state)
  ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4`,
];
