import type { Log } from '../../libs/reliable-mq/src/log/log';

const ignore = (): void => undefined;

export const silentLogger: Log = { debug: ignore, log: ignore, warn: ignore, error: ignore };
