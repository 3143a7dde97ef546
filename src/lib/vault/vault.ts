/**
 * The vault: one small sealed file per account, so that a rotation costs the same with ten accounts and ten thousand.
 * The key is asked for once, on first use, and then kept in memory: a broker that has it goes on while the keyring is
 * locked or gone.
 */
import { hash, randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { elapsedMs } from '../os/monotonic.ts';
import { CmsError } from '../core/errors.ts';
import type { Paths } from '../os/paths.ts';
import {
  ensurePrivateFolder,
  proveWritable,
  readTextNowIfAny,
  removeFile,
  requirePrivateFolder,
  sweepTemporaries,
  writeFileDurable,
} from '../os/files/files.ts';
import type { GrantHeader, GrantRecord } from './grant.ts';
import { acquireLock, type Lock } from '../os/files/lock.ts';
import { type FileTrust, OTHERS_READ } from '../os/files/trusted.ts';
import { Reservation } from '../os/files/reservation.ts';
import { NONCE_BYTES, seal, sealedWith, type SealingKey, unseal, unsealedHeader } from './seal.ts';
import { quoted } from '../core/shell-word.ts';

/** More than a grant with tokens of the longest form takes, sealed. */
const RESERVED_BYTES = 16_384;
/** For how long a key that could not be had is not asked for again. */
const FAILURE_HOLDS_MS = 5000;
const SEALED: FileTrust = { own: true, forbidden: OTHERS_READ };

export class Vault {
  readonly #paths: Paths;
  readonly #openKey: () => Promise<SealingKey>;
  #key: Promise<SealingKey> | undefined;
  #failedAt = -Infinity;
  #opened: SealingKey | undefined;
  #renewedAt = -Infinity;
  /** Keys of before, by their names. */
  readonly #former = new Map<string, SealingKey>();

  constructor(paths: Paths, openKey: () => Promise<SealingKey>) {
    this.#paths = paths;
    this.#openKey = openKey;
  }

  /**
   * The key, asked from its source until that has once succeeded. A failure holds for some seconds, because each
   * question starts a process and a mail queue asks often.
   * @throws CmsError `store_locked`, `store_unavailable`
   */
  async key(): Promise<SealingKey> {
    if (this.#key === undefined || elapsedMs() - this.#failedAt > FAILURE_HOLDS_MS) this.#key = this.#ask();
    return this.#key;
  }

  /** Asks again even if that has just failed. */
  forgetFailure(): void {
    if (Number.isFinite(this.#failedAt)) this.#failedAt = -Infinity;
  }

  async #ask(): Promise<SealingKey> {
    this.#failedAt = Infinity;
    try {
      this.#opened = await this.#openKey();
      return this.#opened;
    } catch (error) {
      this.#failedAt = elapsedMs();
      throw error;
    }
  }

  /**
   * What is kept for `address`, or undefined.
   * @throws CmsError `data_invalid` when the file is damaged, `config_invalid` when others can read it or change its folder,
   * `store_locked`, `store_unavailable`, `io_error`
   */
  async read(address: string): Promise<GrantRecord | undefined> {
    const path = this.#file(address);
    const text = this.#textOf(path);
    if (text === undefined) return undefined;
    return ofAddress(address, unseal(text, await this.#keyOf(text), path), path);
  }

  /** The key that sealed the file, as far as it is known or can be had. */
  async #keyOf(text: string): Promise<SealingKey> {
    const id = sealedWith(text);
    const former = id === undefined ? undefined : this.#former.get(id);
    if (former !== undefined) return former;
    const key = await this.key();
    if (id === undefined || key.id === id || elapsedMs() - this.#renewedAt < FAILURE_HOLDS_MS) return key;
    // Another process has made a new key since.
    this.#renewedAt = elapsedMs();
    this.#supersede(key);
    return this.key().catch(() => this.#goOnWith(key));
  }

  /**
   * The vault is sealed with the key of this name from now on: one that is in memory opens what it has sealed, and is
   * asked for again to seal.
   */
  expectKey(id: string | undefined): void {
    const key = this.#opened;
    if (id !== undefined && key !== undefined && key.id !== id) this.#supersede(key);
  }

  /** The keyring cannot be asked now: what has worked so far goes on working. */
  #goOnWith(key: SealingKey): SealingKey {
    this.#former.delete(key.id);
    this.#opened = key;
    this.#key = Promise.resolve(key);
    this.#failedAt = Infinity;
    return key;
  }

  #supersede(key: SealingKey): void {
    this.#former.set(key.id, key);
    this.#opened = undefined;
    this.#key = undefined;
  }

  /**
   * The part that needs no key, for display.
   * @throws CmsError `data_invalid`, `config_invalid`, `io_error`
   */
  readHeader(address: string): GrantHeader | undefined {
    const path = this.#file(address);
    const text = this.#textOf(path);
    return text === undefined ? undefined : ofAddress(address, unsealedHeader(text, path), path);
  }

  /**
   * Replaces what is kept for `record.address`; when this returns, it is on the disk. The caller holds the lock.
   * @param room reserved for it
   * @throws CmsError `store_locked`, `store_unavailable`, `io_error`; the old file then still stands
   */
  async write(record: GrantRecord, room?: Reservation): Promise<void> {
    const key = await this.key();
    const text = Buffer.from(seal(record, key, randomBytes(NONCE_BYTES)));
    if (room?.holds(text)) {
      try {
        await room.fill(text);
        return;
      } catch {
        // The room is given back, which may be just what is missing.
      }
    }
    await ensurePrivateFolder(this.#paths.vaultDir);
    await writeFileDurable(this.#file(record.address), text);
  }

  /**
   * Room for the next `write` of this account, whatever fills the disk in between. The caller holds the lock.
   * @throws CmsError `io_error`, `config_invalid`
   */
  async reserve({ address, secrets }: Pick<GrantRecord, 'address' | 'secrets'>): Promise<Reservation> {
    const path = this.#file(address);
    await ensurePrivateFolder(this.#paths.vaultDir);
    // An exchange that was cut off has left its room behind.
    if (secrets.attempt !== undefined) await sweepTemporaries(this.#paths.vaultDir, path);
    // The next grant has at most one token more than the one before.
    return Reservation.of(path, Math.max(RESERVED_BYTES, 2 * sizeOf(path)));
  }

  /** What brings back the file as it is now, or that there is none. The caller holds the lock. */
  snapshot(address: string): () => Promise<void> {
    const path = this.#file(address);
    const before = readTextNowIfAny(path);
    return () => (before === undefined ? removeFile(path) : writeFileDurable(path, before));
  }

  async remove(address: string): Promise<void> {
    await removeFile(this.#file(address));
  }

  /**
   * The account's lock, between processes: every process that exchanges or writes holds it.
   * @throws CmsError `temporarily_unavailable` after `timeoutMs`, `store_unavailable`, `io_error`
   */
  async lock(address: string, timeoutMs: number): Promise<Lock> {
    await this.#ensureFolders();
    return acquireLock(this.lockFile(address), timeoutMs);
  }

  lockFile(address: string): string {
    return join(this.#paths.lockDir, `${sealedName(address)}.lock`);
  }

  /** Proves, before anybody signs in, that there is a key and that the folder can be written to. */
  async probe(): Promise<void> {
    await this.key();
    await this.#ensureFolders();
    await proveWritable(this.#paths.vaultDir);
  }

  /** Removes what killed writers left behind. */
  async sweep(): Promise<void> {
    await this.#ensureFolders();
    await sweepTemporaries(this.#paths.vaultDir);
  }

  async #ensureFolders(): Promise<void> {
    await ensurePrivateFolder(this.#paths.stateDir);
    await ensurePrivateFolder(this.#paths.vaultDir);
    await ensurePrivateFolder(this.#paths.lockDir);
  }

  #textOf(path: string): string | undefined {
    for (const folder of [this.#paths.stateDir, this.#paths.vaultDir]) {
      if (!requirePrivateFolder(folder)) return undefined;
    }
    return readTextNowIfAny(path, SEALED);
  }

  #file(address: string): string {
    return join(this.#paths.vaultDir, `${sealedName(address)}.sealed`);
  }
}

function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** One account's file in another's place is sealed as it should be, and would lend its token to the other. */
function ofAddress<T extends GrantHeader>(address: string, record: T, path: string): T {
  if (record.address === address) return record;
  throw new CmsError('data_invalid', `the sealed file ${path} belongs to ${record.address}, not to ${address}`, {
    suggestions: [`cms account add ${quoted(address)}   # signs it in again`],
  });
}

/** A hash, so that no address can name a path, collide with another or tell a backup reader who has accounts. */
export function sealedName(address: string): string {
  return hash('sha256', address);
}
