import type { MigrationInterface, QueryRunner } from 'typeorm';
import { isPostgres } from '../../platform/database-kind';

export class CreateOrders1764000000001 implements MigrationInterface {
  readonly name = 'CreateOrders1764000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(isPostgres(queryRunner) ? POSTGRES : MYSQL);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP TABLE orders');
  }
}

const POSTGRES = `
  CREATE TABLE "orders" (
    "id" uuid PRIMARY KEY,
    "sku" character varying(64) NOT NULL,
    "quantity" integer NOT NULL CHECK ("quantity" > 0),
    "status" character varying(9) NOT NULL CHECK ("status" IN ('PENDING', 'CONFIRMED', 'FAILED')),
    "reason" text,
    "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
  )`;

/** DDL is not transactional there: what a process that died has made stays, and is not made again. */
const MYSQL = `
  CREATE TABLE IF NOT EXISTS orders (
    id char(36) CHARACTER SET ascii COLLATE ascii_general_ci PRIMARY KEY,
    sku varchar(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    status varchar(9) NOT NULL CHECK (status IN ('PENDING', 'CONFIRMED', 'FAILED')),
    reason text,
    created_at datetime(6) NOT NULL DEFAULT current_timestamp(6)
  ) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4`;
