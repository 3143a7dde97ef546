/** The log as lines for people or as JSON, through pino. Fields are codes, addresses, endpoints and counts. */
import { pino } from 'pino';
import { localTime } from './local-time.ts';
import type { LogFields, Logger, LogLevel } from '../core/log.ts';
import { redact } from '../core/redact.ts';

export interface LogOptions {
  format: 'pretty' | 'json';
  level: LogLevel;
  write: (text: string) => void;
}

export function createLogger({ format, level, write }: LogOptions): Logger {
  const render = format === 'json' ? (line: string) => line : pretty;
  const destination = { write: (line: string) => write(redact(render(line))) };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  const at =
    (name: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      logger[name](fields, message);
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), trace: at('trace') };
}

/** `2026-11-23 12:00:01 warn  not served account=jane@example.org code=store_locked` */
function pretty(line: string): string {
  const { level, time, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${shown(value)}`);
  return `${localTime(String(time))} ${String(level).padEnd(5)} ${String(message)}${pairs.join('')}\n`;
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[\s"=]/.test(text) ? JSON.stringify(text) : text;
}
