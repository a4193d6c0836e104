import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateOrders1764000000001 implements MigrationInterface {
  readonly name = 'CreateOrders1764000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE "orders" (
        "id" uuid PRIMARY KEY,
        "sku" character varying(64) NOT NULL,
        "quantity" integer NOT NULL CHECK ("quantity" > 0),
        "status" character varying(9) NOT NULL CHECK ("status" IN ('PENDING', 'CONFIRMED', 'FAILED')),
        "reason" text,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
      )`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP TABLE "orders"`);
  }
}
