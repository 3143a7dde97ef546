/** The accounts as the broker sees them: in memory, indexed by every name that a request may use. */
import type { Account } from '../../accounts/account.ts';
import { indexByName, ownerIn } from '../../accounts/names.ts';
import { accountsOf, accountUnknown, type AccountStore } from '../../accounts/store.ts';

export class AccountDirectory {
  readonly #store: AccountStore;
  #accounts: readonly Account[] = [];
  #byName = new Map<string, Account>();
  #vaultKeyId: string | undefined;

  constructor(store: AccountStore) {
    this.#store = store;
  }

  get all(): readonly Account[] {
    return this.#accounts;
  }

  /** Reads the accounts again. @throws CmsError as `AccountStore.read`; the accounts of before then stay */
  async reload(): Promise<void> {
    const file = await this.#store.read();
    const accounts = accountsOf(file);
    this.#accounts = accounts;
    this.#byName = indexByName(accounts);
    this.#vaultKeyId = file.vault_key?.id;
  }

  /** The name of the key that seals the vault now. */
  get vaultKeyId(): string | undefined {
    return this.#vaultKeyId;
  }

  /** The account that an address or alias names. */
  find(address: string): Account | undefined {
    return ownerIn(this.#byName, address);
  }

  /** The same. @throws CmsError `account_unknown` */
  resolve(address: string): Account {
    const account = this.find(address);
    if (account !== undefined) return account;
    throw accountUnknown(
      address,
      this.#accounts.map((each) => each.address),
    );
  }
}
