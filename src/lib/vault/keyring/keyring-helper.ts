/**
 * The process that talks to the keyring: reads one request from stdin, answers with one line on stdout, ends. It is killed
 * when it takes too long, so nothing here may need to be cleaned up. Imports the binding and Node's own modules only.
 */
import { createInterface } from 'node:readline';
import type * as Binding from '@napi-rs/keyring';
import type { KeyringReply, KeyringRequest } from './keyring.ts';
import { type CollectionState, collectionState } from './secret-service.ts';

const SERVICE = 'cms';
const KEY_USER = 'vault-key';
const PROBE_USER = 'probe';
/** Never the kernel's keyutils, which the binding would fall back to: memory only, and gone after three days. */
const PINNED: Binding.EntryOptions = { linux: { store: 'secret-service' } };
const GRACE_MS = 1_000;

/** What an operation finds wrong by itself, with its kind; messages of the binding are judged by the parent. */
class Refusal extends Error {
  readonly reply: KeyringReply;
  constructor(kind: NonNullable<Extract<KeyringReply, { ok: false }>['kind']>, message: string) {
    super(message);
    this.reply = { ok: false, kind, message };
  }
}

/**
 * No one is left to read an answer, or to dismiss a dialog: exit() would wait for a blocked call, a signal does not.
 */
function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Asked before anything else is loaded, so that the bus can answer meanwhile. */
const asked = stateOfKeyring();
asked.catch(() => undefined);
const binding = loadBinding();
process.stdout.write('\n');
createInterface({ input: process.stdin })
  .on('close', end)
  .on('line', (line) => {
    const request = JSON.parse(line) as KeyringRequest;
    setTimeout(end, request.deadlineMs + GRACE_MS).unref();
    void perform(request)
      .catch(failed)
      .then((reply) => process.stdout.write(`${JSON.stringify(reply)}\n`));
  });

/** The native part, without the script around it that looks for it; should it not be where it mostly is, with it. */
function loadBinding(): typeof Binding {
  const load =
    typeof require === 'function' ? require : process.getBuiltinModule('node:module').createRequire(import.meta.url);
  const { platform, arch } = process;
  try {
    return load(`@napi-rs/keyring-${platform}-${arch}${platform === 'linux' ? '-gnu' : ''}`) as typeof Binding;
  } catch {
    return load('@napi-rs/keyring') as typeof Binding;
  }
}

async function perform(request: KeyringRequest): Promise<KeyringReply> {
  if (!request.interactive) await refuseToPrompt();
  switch (request.operation) {
    case 'read':
      return read(request.interactive);
    case 'write':
      await writeAndCompare(KEY_USER, request.secret ?? '');
      return { ok: true };
    case 'remove':
      return { ok: true, removed: await entry(KEY_USER).deleteCredential() };
    case 'probe':
      await writeAndCompare(PROBE_USER, crypto.randomUUID());
      await entry(PROBE_USER).deleteCredential();
      return { ok: true };
  }
}

/** Any use of an entry on a locked keyring opens a dialog; asking for the state of the keyring never does. */
async function refuseToPrompt(): Promise<void> {
  const state = await asked;
  if (state === 'locked') throw new Refusal('locked', 'the default collection is locked');
  if (state === 'none') throw new Refusal('unavailable', 'it has no default collection yet');
}

async function stateOfKeyring(): Promise<CollectionState> {
  if (process.platform !== 'linux') return 'unknown';
  return collectionState(process.env.DBUS_SESSION_BUS_ADDRESS ?? '', process.getuid?.() ?? 0);
}

async function read(interactive: boolean): Promise<KeyringReply> {
  const secret = interactive || process.platform !== 'linux' ? await entry(KEY_USER).getPassword() : await find();
  return secret === undefined || secret === null ? { ok: true } : { ok: true, secret };
}

/** Searching opens no dialog: should the keyring have been locked just now, it fails instead. */
async function find(): Promise<string | undefined> {
  const found = await binding.findCredentialsAsync(SERVICE);
  return found.find((credential) => credential.account === KEY_USER)?.password;
}

async function writeAndCompare(user: string, secret: string): Promise<void> {
  await entry(user).setPassword(secret);
  // Another entry, another connection: what is read back comes from the keyring, not from a cache.
  const stored = await entry(user).getPassword();
  if (stored !== secret) throw new Refusal('unavailable', 'it did not keep what was written to it');
}

function entry(user: string): Binding.AsyncEntry {
  return new binding.AsyncEntry(SERVICE, user, PINNED);
}

function failed(error: unknown): KeyringReply {
  if (error instanceof Refusal) return error.reply;
  return { ok: false, message: error instanceof Error ? error.message : String(error) };
}
