/**
 * The keyring, asked through a child process. A locked keyring with no one to answer its dialog can block the caller
 * forever, out of reach of timers and abort signals; a child can be killed.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { messageOf } from '../../core/errors.ts';
import type { Environment } from '../../os/paths.ts';
import { KeyringError, keyringErrorKind, type KeyringErrorKind } from './keyring-errors.ts';

/** No caller waits 2 s for a keyring, killing the helper included. */
export const KEYRING_DEADLINE_MS = 1_800;
/** For the helper to be loaded, which a busy machine may make long and a bad keyring cannot. */
const START_LIMIT_MS = 10_000;
/** As long as a person may take to type the keyring's password. */
const INTERACTIVE_DEADLINE_MS = 120_000;

export interface AskOptions {
  /** Whether the desktop may ask its user to unlock the keyring. Without it no dialog ever appears. */
  interactive?: boolean | undefined;
  /** After this the helper, once it runs, is killed; 1.8 s by default, 120 s when interactive. */
  deadlineMs?: number | undefined;
  /** A lock that the helper shall hold with us, so that one which outlives us writes under it. */
  lockFd?: number | undefined;
}

/** One secret in the keyring. All methods throw KeyringError. */
export interface Keyring {
  /** The secret; undefined when the keyring is open and has none. */
  read(options?: AskOptions): Promise<string | undefined>;
  /** Stores the secret, reads it back and compares. */
  write(secret: string, options?: AskOptions): Promise<void>;
  /** @returns whether there was one */
  remove(options?: AskOptions): Promise<boolean>;
  /** Writes, reads and deletes an item of its own: whether this keyring can be relied on. */
  probe(options?: AskOptions): Promise<void>;
}

/** What goes to the helper: one line of JSON on its stdin. */
export interface KeyringRequest {
  operation: 'read' | 'write' | 'remove' | 'probe';
  interactive: boolean;
  /** The helper ends itself a little later, should we be gone by then. */
  deadlineMs: number;
  secret?: string;
}

/** What comes back on its stdout: an empty line when it is ready, then one line of JSON. */
export type KeyringReply =
  { ok: true; secret?: string; removed?: boolean } | { ok: false; kind?: KeyringErrorKind; message: string };

/** The keyring that `env` leads to. Nothing is asked yet. */
export function openKeyring(env: Environment): Keyring {
  return {
    read: async (options) => (await ask(env, { operation: 'read' }, options)).secret,
    write: async (secret, options) => {
      await ask(env, { operation: 'write', secret }, options);
    },
    remove: async (options) => (await ask(env, { operation: 'remove' }, options)).removed ?? false,
    probe: async (options) => {
      await ask(env, { operation: 'probe' }, options);
    },
  };
}

async function ask(
  env: Environment,
  what: Pick<KeyringRequest, 'operation' | 'secret'>,
  { interactive = false, deadlineMs, lockFd }: AskOptions = {},
): Promise<Extract<KeyringReply, { ok: true }>> {
  const limit = deadlineMs ?? (interactive ? INTERACTIVE_DEADLINE_MS : KEYRING_DEADLINE_MS);
  const helperEnv = helperEnvironment(env, interactive);
  // libdbus would start a bus of its own, with a keyring on it that no other program knows.
  if (process.platform === 'linux' && helperEnv.DBUS_SESSION_BUS_ADDRESS === undefined) throw noBus();
  const [script, ...flags] = helperCommand(import.meta.url);
  // Not above: a vault whose key is in a file needs no child.
  const { spawn } = process.getBuiltinModule('node:child_process');
  const child = spawn(process.execPath, [...flags, script], {
    env: helperEnv,
    stdio: ['pipe', 'pipe', 'ignore', ...(lockFd === undefined ? [] : [lockFd])],
    cwd: '/',
  });
  const reply = await conversation(child, { ...what, interactive, deadlineMs: limit }, limit);
  if (reply.ok) return reply;
  throw new KeyringError(reply.kind ?? keyringErrorKind(reply.message), reply.message);
}

function noBus(): KeyringError {
  return new KeyringError('unavailable', 'there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set');
}

/** One line there, one line back, and an end in any case. */
async function conversation(child: ChildProcess, request: KeyringRequest, limit: number): Promise<KeyringReply> {
  const { promise, resolve } = settle<KeyringReply>();
  const giveUp = (ms: number): NodeJS.Timeout =>
    setTimeout(() => {
      child.kill('SIGKILL');
      resolve({ ok: false, kind: 'timeout', message: `no answer within ${ms} ms` });
    }, ms);
  let timer = giveUp(START_LIMIT_MS);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (output === '') {
      clearTimeout(timer);
      timer = giveUp(limit);
    }
    output += text;
    // An empty line says that it is ready, the next one is the answer.
    const reply = output.split('\n')[1];
    if (reply !== undefined && output.endsWith('\n') && reply !== '') resolve(parseReply(reply));
  });
  child.on('error', (error) => resolve({ ok: false, kind: 'unavailable', message: messageOf(error) }));
  child.on('close', () => resolve({ ok: false, kind: 'unavailable', message: 'the keyring helper ended silently' }));
  // A helper that dies early breaks the pipe; its end is already told by 'close'.
  child.stdin?.on('error', () => undefined);
  child.stdin?.write(`${JSON.stringify(request)}\n`);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    child.stdin?.destroy();
    child.kill('SIGKILL');
  }
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function settle<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((accept) => (resolve = accept));
  return { promise, resolve };
}

function parseReply(text: string): KeyringReply {
  try {
    return JSON.parse(text) as KeyringReply;
  } catch {
    return { ok: false, kind: 'unavailable', message: 'the keyring helper answered nonsense' };
  }
}

/** The helper next to this file: compiled when we are, else through the loader that runs us. */
function helperCommand(self: string): [script: string, ...flags: string[]] {
  if (!self.endsWith('.ts')) {
    // Bundled, it is CommonJS, which Node starts faster.
    const files = ['keyring-helper.cjs', 'keyring-helper.js'].map((name) => fileURLToPath(new URL(name, self)));
    return [files.find((file) => existsSync(file)) ?? ''];
  }
  return [
    fileURLToPath(new URL('keyring-helper.ts', self)),
    '--import',
    pathToFileURL(process.getBuiltinModule('node:module').createRequire(self).resolve('tsx')).href,
  ];
}

const ALWAYS = ['DBUS_SESSION_BUS_ADDRESS', 'XDG_RUNTIME_DIR', 'HOME', 'PATH', 'LANG', 'LC_ALL'];
const FOR_A_DIALOG = ['DISPLAY', 'WAYLAND_DISPLAY', 'XAUTHORITY', 'XDG_SESSION_TYPE', 'XDG_CURRENT_DESKTOP'];

/** No more than the helper needs, and nothing that a dialog could be shown with unless one may be. */
export function helperEnvironment(env: Environment, interactive: boolean): Record<string, string> {
  const names = interactive ? [...ALWAYS, ...FOR_A_DIALOG] : ALWAYS;
  const kept = Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]] as const] : [])));
  // The two D-Bus libraries in the binding look in different places; with an address they agree, under cron and sudo too.
  const bus = userBus(env.XDG_RUNTIME_DIR);
  return { ...(bus !== undefined && { DBUS_SESSION_BUS_ADDRESS: bus }), ...kept };
}

function userBus(runtimeDir?: string): string | undefined {
  const folders = [runtimeDir ?? '', `/run/user/${process.getuid?.() ?? 0}`].filter((folder) => folder !== '');
  const socket = folders.map((folder) => `${folder}/bus`).find((path) => existsSync(path));
  return socket === undefined ? undefined : `unix:path=${socket}`;
}
