/** What the log needs to be for the library: a place for codes, addresses, endpoints and counts. Never for secrets. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';
export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug', 'trace'];

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;
export type Logger = Record<LogLevel, (message: string, fields?: LogFields) => void>;

const nothing = (): void => undefined;
export const silentLogger: Logger = { error: nothing, warn: nothing, info: nothing, debug: nothing, trace: nothing };
