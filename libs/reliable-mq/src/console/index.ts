export { ReliableMqConsoleModule } from './console.module';

export type {
  ConsoleDatabase,
  ConsoleExtras,
  ConsoleOptions,
  ConsoleRequest,
  ConsoleRole,
  RedactedEvent,
} from './console-options';
