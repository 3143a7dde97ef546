/**
 * `accounts.json`: everything about accounts that is not secret. Read often, written by `account add`, `remove`,
 * `store`.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { CmsError, messageOf } from '../core/errors.ts';
import type { Paths } from '../os/paths.ts';
import {
  ensurePrivateFolder,
  proveWritable,
  readFileIfAny,
  requirePrivateFolder,
  sweepTemporaries,
  writeFileDurable,
} from '../os/files/files.ts';
import { acquireLock, acquireLockNow } from '../os/files/lock.ts';
import { quoted } from '../core/shell-word.ts';
import { isAbsent } from '../os/files/trusted.ts';
import type { VaultKeyRecord } from '../vault/vault-key.ts';
import type { Account } from './account.ts';
import { type HalfDone, halfDone } from './half-done.ts';
import { findAccount } from './names.ts';
import { faultOfAccount, faultOfVaultKey } from './shape.ts';
import { isRecord } from '../core/values.ts';

export { findAccount } from './names.ts';

const ACCOUNTS_VERSION = 1;
const LOCK_TIMEOUT_MS = 10_000;

export interface AccountsFile {
  version: typeof ACCOUNTS_VERSION;
  vault_key?: VaultKeyRecord;
  accounts: Record<string, Account>;
}

export class AccountStore {
  readonly #paths: Paths;
  readonly #owner: number | undefined;
  readonly #half: HalfDone;
  /** What stood in the file when it had this stamp: with ten thousand accounts it takes a tenth of a second to parse. */
  #last: { stamp: string; file: AccountsFile } | undefined;

  /** @param owner the user for whom root reads them */
  constructor(paths: Paths, owner?: number) {
    this.#paths = paths;
    this.#owner = owner;
    this.#half = halfDone(paths);
  }

  /**
   * The file as it stands; empty when there is none.
   * @throws CmsError `config_invalid` when it is unreadable, of a newer version, or others can change it; `io_error`
   */
  async read(): Promise<AccountsFile> {
    if (this.#half.exists()) await this.#finish();
    const stamp = await stampOf(this.#paths.accountsFile);
    if (stamp !== undefined && this.#last?.stamp === stamp) return this.#last.file;
    const file = await this.#readAnew();
    this.#last = stamp === undefined ? undefined : { stamp, file };
    return file;
  }

  async #readAnew(): Promise<AccountsFile> {
    if (isAbsent(this.#paths.accountsFile)) return { version: ACCOUNTS_VERSION, accounts: {} };
    if (this.#owner === undefined) requirePrivateFolder(this.#paths.configDir);
    const bytes = await readFileIfAny(this.#paths.accountsFile, { owner: this.#owner });
    if (bytes === undefined) return { version: ACCOUNTS_VERSION, accounts: {} };
    return parseAccountsFile(bytes.toString('utf8'), this.#paths.accountsFile);
  }

  /** All accounts, by address. */
  async list(): Promise<Account[]> {
    return accountsOf(await this.read());
  }

  /**
   * The account that `address` names: by its key, by an alias, or by the alias of its whole domain.
   * @throws CmsError `account_unknown`, and as `read`
   */
  async resolve(address: string): Promise<Account> {
    const { accounts } = await this.read();
    const account = findAccount(accounts, address);
    if (account === undefined) throw accountUnknown(address, Object.keys(accounts));
    return account;
  }

  /**
   * Changes the file under its lock. `change` gets the current content and returns the new one.
   * @throws CmsError as `read`, and what `change` throws; the file is then untouched
   */
  async update(change: (file: AccountsFile) => AccountsFile | Promise<AccountsFile>): Promise<AccountsFile> {
    await ensurePrivateFolder(this.#paths.configDir);
    await ensurePrivateFolder(this.#paths.stateDir);
    await ensurePrivateFolder(this.#paths.lockDir);
    await using _lock = await acquireLock(this.#lockFile, LOCK_TIMEOUT_MS);
    await sweepTemporaries(this.#paths.configDir, this.#paths.accountsFile);
    await this.#finishHalfDone();
    const changed = await change(await this.#readAnew());
    await this.#write(changed);
    return changed;
  }

  /**
   * Stores an account together with its grant: both, or neither. What a crash in between leaves half done is finished
   * by the next reader.
   * @param grant writes the sealed file, and takes that back
   * @param check throws for an account that may not be stored next to the others; they cannot change meanwhile
   * @throws CmsError as `update`, and what `grant.write` throws
   */
  async store(
    account: Account,
    grant: { id: string; write: () => Promise<void>; undo: () => Promise<void> },
    check: (others: Readonly<Record<string, Account>>) => void,
  ): Promise<void> {
    const progress = { begun: false };
    try {
      await this.update(async (file) => {
        check(file.accounts);
        await this.#proveReplaceable(file);
        await this.#half.note({ account, grant_id: grant.id });
        progress.begun = true;
        await grant.write();
        return { ...file, accounts: { ...file.accounts, [account.address]: account } };
      });
    } catch (error) {
      // What cannot be taken back stays noted, and is finished later.
      if (progress.begun)
        await grant.undo().then(
          () => this.#half.forget(),
          () => undefined,
        );
      throw error;
    }
    // Both are there: a note that stays changes nothing.
    await this.#half.forget().catch(() => undefined);
  }

  /** Proves, before the sign-in, that the file can be replaced. @throws CmsError as `update` */
  async probe(): Promise<void> {
    if ((await stampOf(this.#paths.accountsFile)) !== undefined) await this.update((file) => file);
  }

  /** The same content: nothing but the real thing proves it. */
  async #proveReplaceable(file: AccountsFile): Promise<void> {
    if ((await stampOf(this.#paths.accountsFile)) === undefined) return proveWritable(this.#paths.configDir);
    await this.#write(file);
  }

  #write(file: AccountsFile): Promise<void> {
    return writeFileDurable(this.#paths.accountsFile, `${JSON.stringify(file, null, 2)}\n`);
  }

  get #lockFile(): string {
    return join(this.#paths.lockDir, 'accounts.lock');
  }

  /** A process in the middle of it holds the lock; then it is not for us to finish. */
  async #finish(): Promise<void> {
    try {
      await using lock = await acquireLockNow(this.#lockFile);
      if (lock !== undefined) await this.#finishHalfDone();
    } catch (error) {
      // What can be read is read all the same; the next one tries again.
      if (!(error instanceof CmsError)) throw error;
    }
  }

  async #finishHalfDone(): Promise<void> {
    if (!this.#half.exists()) return;
    const account = await this.#half.read();
    if (account !== undefined) {
      const file = await this.#readAnew();
      await this.#write({ ...file, accounts: { ...file.accounts, [account.address]: account } });
    }
    await this.#half.forget();
  }
}

/** Changes with every replacement and every write of the file. @returns undefined where it cannot be told */
async function stampOf(path: string): Promise<string | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found && [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
}

export function accountUnknown(address: string, known: readonly string[]): CmsError {
  return new CmsError('account_unknown', `no account ${address}`, {
    suggestions: [
      `cms account add ${quoted(address)}`,
      ...(known.length > 0 ? ['cms account list   # shows the accounts there are'] : []),
    ],
  });
}

function parseAccountsFile(text: string, path: string): AccountsFile {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw unreadable(path, messageOf(error));
  }
  if (!isRecord(data) || !isRecord(data.accounts)) throw unreadable(path, 'not an accounts file');
  const version = data.version;
  if (typeof version === 'number' && version > ACCOUNTS_VERSION) {
    throw new CmsError('config_invalid', `${path} has version ${version}; this cms reads up to ${ACCOUNTS_VERSION}`, {
      suggestions: ['npm install -g cms-oauth@latest'],
    });
  }
  if (version !== ACCOUNTS_VERSION) throw unreadable(path, 'it has no version');
  const fault = faultOfVaultKey(data.vault_key) ?? firstFault(data.accounts);
  if (fault !== undefined) throw unreadable(path, fault);
  return data as unknown as AccountsFile;
}

function firstFault(accounts: Record<string, unknown>): string | undefined {
  for (const [address, account] of Object.entries(accounts)) {
    const fault = faultOfAccount(address, account);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** By address. */
export function accountsOf({ accounts }: AccountsFile): Account[] {
  return Object.values(accounts).sort((a, b) => (a.address < b.address ? -1 : 1));
}

function unreadable(path: string, reason: string): CmsError {
  return new CmsError('config_invalid', `cannot read ${path}: ${reason}`, {
    suggestions: [
      `edit ${quoted(path)}   # it is JSON, and holds no secret`,
      `mv ${quoted(path)} ${quoted(`${path}.broken`)}   # or start again: cms account add ADDRESS`,
    ],
  });
}
