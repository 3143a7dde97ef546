/** `config.toml`: what people set by hand. Read once at start and at each reload; never written except by appending. */
import { parse as parseToml, TomlError } from 'smol-toml';
import { type Protocol, PROTOCOLS } from '../accounts/account.ts';
import { parseAddress } from '../accounts/address.ts';
import { CmsError, messageOf } from '../core/errors.ts';
import { unknownKey } from '../core/nearest.ts';
import { checkSocketPath, type Paths } from '../os/paths.ts';
import type { Provider } from '../providers/provider.ts';
import { checked, parseProviders } from './providers.ts';
import { type HookSettings, parseHooks } from './hooks.ts';
import { type NotifySettings, parseNotify } from './notify.ts';
import { quoted } from '../core/shell-word.ts';
import { readFileIfAny } from '../os/files/files.ts';

/** One socket and what it may hand out. Lists that are absent restrict nothing. */
export interface SocketSettings {
  path: string;
  /** File mode. */
  mode: number;
  group?: string;
  protocols?: Protocol[];
  accounts?: string[];
  /** Whether it may hand out app passwords. */
  passwords: boolean;
  /** Names or uids of the users that may ask, in addition to the owner and root. */
  users?: string[];
  /** The file that says all this; none for a socket of the command line. */
  file?: string;
}

export interface Settings {
  sockets: SocketSettings[];
  hooks: HookSettings;
  notify: NotifySettings;
}

const DEFAULT_SOCKET_MODE = 0o600;

/**
 * The settings of the system (`/etc/cms/config.toml`) and of the user: the sockets of both; of hooks and notifications
 * the user's, key by key, before the system's.
 * @param owner the user for whom root reads it
 * @throws CmsError `config_invalid` naming the file and what is wrong in it; `io_error`
 */
export async function readSettings(
  paths: Pick<Paths, 'configFile' | 'systemConfigFile'>,
  owner?: number,
): Promise<Settings> {
  const all = await Promise.all([paths.systemConfigFile, paths.configFile].map((path) => readOne(path, owner)));
  return {
    sockets: all.flatMap(({ sockets }) => sockets),
    hooks: Object.assign({}, ...all.map(({ hooks }) => hooks)) as HookSettings,
    notify: Object.assign({}, ...all.map(({ notify }) => notify)) as NotifySettings,
  };
}

/**
 * The text of `config.toml`, empty where there is none. A link is followed: such files are often kept elsewhere, in a
 * repository or a read-only store.
 * @param owner the user for whom root reads it
 * @throws CmsError `config_invalid` for a file that others can change, `io_error`
 */
export async function readConfigText(path: string, owner?: number): Promise<string> {
  return (await readFileIfAny(path, { links: true, owner }))?.toString('utf8') ?? '';
}

async function readOne(path: string, owner?: number): Promise<Settings> {
  const { sockets, ...settings } = parseSettings(await readConfigText(path, owner), path);
  return { ...settings, sockets: sockets.map((socket) => ({ ...socket, file: path })) };
}

/**
 * The presets of `[[provider]]`, the user's before the system's. Read at a sign-in, and not with the rest:
 * a slip in one of them keeps no broker from its work.
 * @throws CmsError `config_invalid`, `io_error`
 */
export async function readProviders(paths: Pick<Paths, 'configFile' | 'systemConfigFile'>): Promise<Provider[]> {
  const all = await Promise.all(
    [paths.configFile, paths.systemConfigFile].map(async (path) => {
      const text = await readConfigText(path);
      return parseProviders(parseTables(text, path).provider, path, (why) => invalid(path, why));
    }),
  );
  return all.flat();
}

const TABLES = ['socket', 'provider', 'hooks', 'notify'];

function parseTables(text: string, path: string): Record<string, unknown> {
  const tables = tablesIn(text, path);
  const unknown = unknownKey(tables, TABLES, 'table or key');
  if (unknown !== undefined) throw invalid(path, unknown);
  return tables;
}

function tablesIn(text: string, path: string): Record<string, unknown> {
  try {
    return parseToml(text);
  } catch (error) {
    const place = error instanceof TomlError ? `${path}, line ${String(error.line)}` : path;
    throw new CmsError('config_invalid', `${place}: ${messageOf(error).split('\n')[0] ?? ''}`, {
      suggestions: [`edit ${quoted(path)}`],
    });
  }
}

/** Pure part of `readSettings`. @throws CmsError `config_invalid` */
export function parseSettings(text: string, path: string): Settings {
  const data = parseTables(text, path);
  const sockets = data.socket ?? [];
  if (!Array.isArray(sockets)) throw invalid(path, 'sockets are written as [[socket]]');
  return {
    sockets: sockets.map((entry: unknown) => parseSocket(entry, path)),
    hooks: parseHooks(data.hooks, (why) => invalid(path, `[hooks]: ${why}`)),
    notify: parseNotify(data.notify, (why) => invalid(path, `[notify]: ${why}`)),
  };
}

const SOCKET_KEYS = ['path', 'mode', 'group', 'protocols', 'accounts', 'passwords', 'users'];

function parseSocket(entry: unknown, file: string): SocketSettings {
  const fail = (why: string): CmsError => invalid(file, `[[socket]]: ${why}`);
  if (typeof entry !== 'object' || entry === null) throw fail('not a table');
  const table = entry as Record<string, unknown>;
  // A misspelt restriction would open the socket wider than was meant.
  const unknown = unknownKey(table, SOCKET_KEYS);
  if (unknown !== undefined) throw fail(unknown);
  const { path, mode, group, passwords } = table;
  if (typeof path !== 'string') throw fail('path is missing');
  if (group !== undefined && typeof group !== 'string') throw fail('group is a name');
  if (passwords !== undefined && typeof passwords !== 'boolean') throw fail('passwords is true or false');
  const protocols = textList(table.protocols, fail, 'protocols');
  const accounts = textList(table.accounts, fail, 'accounts');
  const users = textList(table.users, fail, 'users');
  return {
    path: checked(() => checkSocketPath(path), 'path', fail),
    mode: parseMode(mode, fail),
    passwords: passwords ?? false,
    ...(group !== undefined && { group }),
    ...(protocols && { protocols: protocols.map((each) => parseProtocol(each, fail)) }),
    ...(accounts && { accounts: accounts.map((each) => checked(() => parseAddress(each), 'accounts', fail)) }),
    ...(users && { users }),
  };
}

/** A mode as text of octal digits, `"0660"`; TOML's own octal number `0o660` does as well. */
export function parseMode(value: unknown, fail: (why: string) => CmsError): number {
  if (value === undefined) return DEFAULT_SOCKET_MODE;
  const mode = typeof value === 'string' && /^0?[0-7]{3}$/.test(value) ? Number.parseInt(value, 8) : value;
  if (typeof mode !== 'number' || !Number.isInteger(mode) || mode < 0 || mode > 0o777) {
    throw fail('mode is written as "0660"');
  }
  // Connecting takes write permission; a socket that everybody may write to is open to everybody.
  if ((mode & 0o002) !== 0) throw fail(`mode ${mode.toString(8)} lets every user of this machine take tokens`);
  return mode;
}

function parseProtocol(text: string, fail: (why: string) => CmsError): Protocol {
  const protocol = PROTOCOLS.find((each) => each === text.toLowerCase());
  if (protocol === undefined) throw fail(`protocols are ${PROTOCOLS.join(', ')}, not ${text}`);
  return protocol;
}

function textList(value: unknown, fail: (why: string) => CmsError, name: string): string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.some((each) => typeof each !== 'string')) throw fail(`${name} is a list of texts`);
  return value as string[];
}

function invalid(path: string, why: string): CmsError {
  return new CmsError('config_invalid', `${path}: ${why}`, { suggestions: [`edit ${quoted(path)}`] });
}
