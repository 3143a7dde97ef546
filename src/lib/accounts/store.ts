/** `accounts.json`: everything about accounts that is no secret. Read often, written by `account add`, `remove`, `store`. */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { CmsError, messageOf } from '../errors.ts';
import type { Paths } from '../paths.ts';
import {
  ensurePrivateFolder,
  readFileIfAny,
  requirePrivateFolder,
  sweepTemporaries,
  writeFileDurable,
} from '../store/files.ts';
import { acquireLock } from '../store/lock.ts';
import { isAbsent } from '../store/trusted.ts';
import type { VaultKeyRecord } from '../store/vault-key.ts';
import type { Account } from './account.ts';
import { domainOf, lowerAscii } from './address.ts';
import { faultOfAccount, faultOfVaultKey, isRecord } from './shape.ts';

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
  /** What stood in the file when it had this stamp: with ten thousand accounts it takes a tenth of a second to parse. */
  #last: { stamp: string; file: AccountsFile } | undefined;

  /** @param owner the user for whom root reads them */
  constructor(paths: Paths, owner?: number) {
    this.#paths = paths;
    this.#owner = owner;
  }

  /**
   * The file as it stands; empty when there is none.
   * @throws CmsError `config_invalid` when it is unreadable, of a newer version, or others can change it; `io_error`
   */
  async read(): Promise<AccountsFile> {
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
    await using _lock = await acquireLock(join(this.#paths.lockDir, 'accounts.lock'), LOCK_TIMEOUT_MS);
    await sweepTemporaries(this.#paths.configDir, this.#paths.accountsFile);
    const changed = await change(await this.#readAnew());
    await writeFileDurable(this.#paths.accountsFile, `${JSON.stringify(changed, null, 2)}\n`);
    return changed;
  }
}

/** Changes with every replacement and every write of the file. @returns undefined where it cannot be told */
async function stampOf(path: string): Promise<string | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found && [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
}

export function findAccount(accounts: Readonly<Record<string, Account>>, address: string): Account | undefined {
  const key = lowerAscii(address);
  if (Object.hasOwn(accounts, key)) return accounts[key];
  const all = Object.values(accounts);
  const domain = `@${domainOf(key)}`;
  return (
    all.find((account) => account.aliases.includes(key)) ?? all.find((account) => account.aliases.includes(domain))
  );
}

export function accountUnknown(address: string, known: readonly string[]): CmsError {
  return new CmsError('account_unknown', `no account ${address}`, {
    suggestions: [
      `cms account add ${address}`,
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
      `edit ${path}   # it is JSON, and holds no secret`,
      `mv ${path} ${path}.broken   # or begin anew: cms account add ADDRESS`,
    ],
  });
}
