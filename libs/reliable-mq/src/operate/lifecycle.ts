/** Where the application is between its start and its end. */
export class Lifecycle {
  phase: 'starting' | 'running' | 'stopping' | 'stopped' = 'starting';
}
