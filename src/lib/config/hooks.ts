/** `[hooks]` of `config.toml`: programs that are run when the state of an account changes. */
import { isAbsolute } from 'node:path';
import type { CmsError } from '../core/errors.ts';
import { unknownKey } from '../core/nearest.ts';

/** What is told to hooks, to the desktop and by mail; also the names of the keys in `[hooks]`. */
export type EventName = 'authorization_required' | 'refreshed' | 'degraded' | 'recovered';
export const EVENT_NAMES: readonly EventName[] = ['authorization_required', 'refreshed', 'degraded', 'recovered'];

/** A program and its arguments, never a line for a shell. */
export type HookSettings = Partial<Record<EventName, readonly string[]>> & {
  /** Milliseconds after which a hook is killed. */
  timeoutMs?: number;
};

/** A hook with more to do starts a process that runs by itself: the broker does not look after it. */
const LONGEST_SECONDS = 10;

/** @param fail makes the error that names the file. @throws CmsError `config_invalid` */
export function parseHooks(value: unknown, fail: (why: string) => CmsError): HookSettings {
  const { timeout, ...programs } = tableOf(value, [...EVENT_NAMES, 'timeout'], fail);
  const settings: HookSettings = {};
  for (const name of EVENT_NAMES) {
    if (programs[name] !== undefined) settings[name] = parseProgram(programs[name], name, fail);
  }
  if (timeout === undefined) return settings;
  if (typeof timeout !== 'number' || !(timeout >= 1 && timeout <= LONGEST_SECONDS)) {
    throw fail(`timeout is a number of seconds from 1 to ${LONGEST_SECONDS}`);
  }
  return { ...settings, timeoutMs: timeout * 1000 };
}

function parseProgram(value: unknown, name: string, fail: (why: string) => CmsError): readonly string[] {
  const isList = Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string');
  // A text would be a line for a shell, and an account's name one day a part of it.
  if (!isList) throw fail(`${name} is a list of a program and its arguments, as in ["/usr/local/bin/tell-me", "-v"]`);
  const argv = value;
  if (!isAbsolute(argv[0] ?? '')) throw fail(`${name}: the program is an absolute path, not ${argv[0]}`);
  if (argv.some((each) => each.includes('\0'))) throw fail(`${name}: a NUL cannot stand in an argument`);
  return argv;
}

/** The table, if it has no keys but these: a misspelt one would silently do nothing. */
export function tableOf(
  value: unknown,
  keys: readonly string[],
  fail: (why: string) => CmsError,
): Record<string, unknown> {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail('not a table');
  const unknown = unknownKey(value, keys);
  if (unknown !== undefined) throw fail(unknown);
  return value as Record<string, unknown>;
}
