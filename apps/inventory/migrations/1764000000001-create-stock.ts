import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateStock1764000000001 implements MigrationInterface {
  readonly name = 'CreateStock1764000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE "stock" (
        "sku" character varying(64) PRIMARY KEY,
        "available" integer NOT NULL CHECK ("available" >= 0)
      ) WITH (fillfactor = 50)`);
    await queryRunner.query(`
      CREATE TABLE "deductions" (
        "order_id" uuid PRIMARY KEY,
        "sku" character varying(64) NOT NULL,
        "quantity" integer NOT NULL CHECK ("quantity" > 0),
        "state" character varying(9) NOT NULL CHECK ("state" IN ('TAKEN', 'REFUSED', 'CANCELLED')),
        "reason" text,
        "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
      )`);
    await queryRunner.query(`CREATE INDEX "deductions_taken" ON "deductions" ("sku") WHERE "state" = 'TAKEN'`);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`DROP TABLE "deductions"`);
    await queryRunner.query(`DROP TABLE "stock"`);
  }
}
