import type { Command } from './command';
import { ARCHIVE } from './commands/archive';
import { AUDIT } from './commands/audit';
import { BACKFILL } from './commands/backfill';
import { DISCARD } from './commands/discard';
import { DOCTOR } from './commands/doctor';
import { FIND } from './commands/find';
import { GROUPS } from './commands/groups';
import { LIST } from './commands/list';
import { MIGRATE } from './commands/migrate';
import { PAUSE, RESUME } from './commands/pause';
import { RECONCILE } from './commands/reconcile';
import { REDRIVE } from './commands/redrive';
import { REPLAY } from './commands/replay';
import { RETRY } from './commands/retry';
import { SCHEMA } from './commands/schema';
import { SHOW } from './commands/show';
import { STATUS } from './commands/status';

/** As the help lists them. */
export const COMMANDS: readonly Command[] = [
  STATUS,
  FIND,
  LIST,
  SHOW,
  GROUPS,
  REDRIVE,
  RETRY,
  REPLAY,
  ARCHIVE,
  DISCARD,
  PAUSE,
  RESUME,
  AUDIT,
  BACKFILL,
  RECONCILE,
  DOCTOR,
  MIGRATE,
  SCHEMA,
];
