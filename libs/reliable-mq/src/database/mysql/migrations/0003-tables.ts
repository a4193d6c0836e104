import { type SchemaMigration, tableOptions } from './schema-migration';

/**
 * All that PostgreSQL has after its migrations 1 to 3.
 *
 * Why these types: JSON is LONGTEXT, because the JSON of MySQL makes another text of it (keys sorted, numbers rounded), and that of
 * MariaDB is LONGTEXT. Moments are DATETIME(6) in UTC: a TIMESTAMP ends in 2038 and is read in the session's time zone. An index has an entry for
 * each row here (there are no partial ones), so there are few; those of rows that have ended stand together, behind one end of it.
 */
export const TABLES: SchemaMigration = {
  version: 3,
  name: 'outbox, inbox, owners and operations',
  up: (names, kind) => [
    `CREATE TABLE IF NOT EXISTS ${names.outbox} (
  \`id\` BINARY(16) NOT NULL,
  \`type\` VARCHAR(120) NOT NULL,
  \`version\` INT NOT NULL,
  \`payload\` LONGTEXT NOT NULL,
  \`payload_bytes\` INT UNSIGNED NOT NULL,
  \`headers\` LONGTEXT,
  \`consumers\` LONGTEXT NOT NULL,
  \`confirm\` BOOLEAN NOT NULL,
  \`event_key\` VARCHAR(200),
  \`causation_id\` BINARY(16),
  \`status\` VARCHAR(10) NOT NULL,
  \`attempts\` INT NOT NULL,
  \`due_at\` DATETIME(6),
  \`claim_token\` BINARY(16),
  \`reason\` LONGTEXT,
  \`history\` LONGTEXT NOT NULL,
  \`outcomes\` LONGTEXT NOT NULL,
  \`redrives\` INT NOT NULL DEFAULT 0,
  \`compensation_attempts\` INT NOT NULL DEFAULT 0,
  \`created_at\` DATETIME(6) NOT NULL,
  \`published_at\` DATETIME(6),
  \`ended_at\` DATETIME(6),
  \`compensated_at\` DATETIME(6),
  \`archived_at\` DATETIME(6),
  PRIMARY KEY (\`id\`),
  KEY ${names.index('outbox', 'due')} (\`status\`, \`due_at\`, \`compensated_at\`, \`archived_at\`),
  KEY ${names.index('outbox', 'event_key')} (\`event_key\`),
  KEY ${names.index('outbox', 'causation')} (\`causation_id\`)
) ${tableOptions(kind)}`,
    `CREATE TABLE IF NOT EXISTS ${names.inbox} (
  \`event_id\` VARCHAR(255) NOT NULL,
  \`consumer\` VARCHAR(100) NOT NULL,
  \`type\` VARCHAR(255) NOT NULL,
  \`version\` INT NOT NULL,
  \`event_key\` VARCHAR(200),
  \`status\` VARCHAR(10) NOT NULL,
  \`attempts\` INT NOT NULL,
  \`unfinished_starts\` INT NOT NULL DEFAULT 0,
  \`due_at\` DATETIME(6),
  \`claim_token\` BINARY(16),
  \`reason\` LONGTEXT,
  \`history\` LONGTEXT NOT NULL,
  \`body\` LONGBLOB,
  \`properties\` LONGTEXT,
  \`body_hash\` BINARY(32),
  \`redrives\` INT NOT NULL DEFAULT 0,
  \`received_at\` DATETIME(6) NOT NULL,
  \`ended_at\` DATETIME(6),
  \`suspect\` BOOLEAN GENERATED ALWAYS AS (CASE WHEN \`due_at\` IS NOT NULL THEN \`unfinished_starts\` >= 2 END) STORED,
  \`awaited_version\` INT GENERATED ALWAYS AS (CASE WHEN \`status\` = 'waiting' THEN \`version\` END) STORED,
  PRIMARY KEY (\`event_id\`, \`consumer\`, \`type\`),
  KEY ${names.index('inbox', 'due')} (\`consumer\`, \`type\`, \`suspect\`, \`due_at\`),
  KEY ${names.index('inbox', 'waiting')} (\`awaited_version\`, \`consumer\`, \`type\`),
  KEY ${names.index('inbox', 'status')} (\`status\`, \`received_at\`),
  KEY ${names.index('inbox', 'ended')} (\`ended_at\`),
  KEY ${names.index('inbox', 'event_key')} (\`event_key\`, \`received_at\`)
) ${tableOptions(kind)}`,
    `CREATE TABLE IF NOT EXISTS ${names.table('owner')} (
  \`part\` VARCHAR(10) NOT NULL,
  \`service\` VARCHAR(100) NOT NULL,
  \`since\` DATETIME(6) NOT NULL,
  PRIMARY KEY (\`part\`)
) ${tableOptions(kind)}`,
    `CREATE TABLE IF NOT EXISTS ${names.table('audit')} (
  \`id\` BINARY(16) NOT NULL,
  \`run_id\` BINARY(16) NOT NULL,
  \`at\` DATETIME(6) NOT NULL,
  \`operation\` VARCHAR(20) NOT NULL,
  \`done_by\` VARCHAR(200) NOT NULL,
  \`why\` TEXT,
  \`filter\` LONGTEXT,
  \`items\` LONGTEXT NOT NULL,
  \`count\` INT NOT NULL,
  PRIMARY KEY (\`id\`)
) ${tableOptions(kind)}`,
    `CREATE TABLE IF NOT EXISTS ${names.table('paused')} (
  \`consumer\` VARCHAR(100) NOT NULL,
  \`type\` VARCHAR(255) NOT NULL,
  \`since\` DATETIME(6) NOT NULL,
  \`done_by\` VARCHAR(200) NOT NULL,
  \`why\` TEXT,
  PRIMARY KEY (\`consumer\`, \`type\`)
) ${tableOptions(kind)}`,
  ],
  down: (names) => [
    `DROP TABLE IF EXISTS ${names.table('paused')}`,
    `DROP TABLE IF EXISTS ${names.table('audit')}`,
    `DROP TABLE IF EXISTS ${names.table('owner')}`,
    `DROP TABLE IF EXISTS ${names.inbox}`,
    `DROP TABLE IF EXISTS ${names.outbox}`,
  ],
};
