/** class-validator has types for it in another folder than the code. */
declare module 'class-validator/cjs/validation/ValidationExecutor.js' {
  import type { ValidationExecutor as Executor } from 'class-validator/types/validation/ValidationExecutor';
  export const ValidationExecutor: typeof Executor;
}
