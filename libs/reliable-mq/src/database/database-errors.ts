/**
 * Whether the statement failed because the database could not be asked (connection lost or refused, shutting down, out of
 * resources), and not because of what was asked. SQLSTATE classes: PostgreSQL documentation, Appendix A.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  const state = sqlState(error);
  if (state === undefined) return isDriverError(error);
  const shuttingDown = state.startsWith('57P');
  return shuttingDown || ['08', '53', '58'].includes(state.slice(0, 2));
}

/** The five-character SQLSTATE of a failed statement. */
export function sqlState(error: unknown): string | undefined {
  const driverError = (error as { driverError?: unknown } | null)?.driverError ?? error;
  const code = (driverError as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** A failed statement without an SQLSTATE: the driver never got an answer. */
function isDriverError(error: unknown): boolean {
  return error instanceof Error;
}
