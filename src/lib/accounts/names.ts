/**
 * Who a name belongs to: one rule for every process. An address is its own account's, then an alias its account's, then
 * `@domain`. A file that was edited by hand may give a name to several: then the one whose address sorts first has it.
 */
import type { Account } from './account.ts';
import { domainOf, lowerAscii } from './address.ts';

/** Every name that a request may use, to its account; `@domain` among them. */
export function indexByName(accounts: readonly Account[]): Map<string, Account> {
  const sorted = [...accounts].sort((a, b) => (a.address < b.address ? -1 : 1));
  const names = new Map(sorted.map((account) => [account.address, account]));
  for (const account of sorted) {
    for (const alias of account.aliases.map(lowerAscii)) if (!names.has(alias)) names.set(alias, account);
  }
  return names;
}

export function ownerIn(names: ReadonlyMap<string, Account>, name: string): Account | undefined {
  const key = lowerAscii(name);
  return names.get(key) ?? names.get(`@${domainOf(key)}`);
}

/** As `ownerIn`, for one question: without an index of ten thousand accounts. */
export function findAccount(accounts: Readonly<Record<string, Account>>, name: string): Account | undefined {
  const key = lowerAscii(name);
  if (Object.hasOwn(accounts, key)) return accounts[key];
  const first = (alias: string): Account | undefined =>
    Object.values(accounts).reduce<Account | undefined>((found, account) => {
      if (found !== undefined && found.address < account.address) return found;
      return account.aliases.some((each) => lowerAscii(each) === alias) ? account : found;
    }, undefined);
  return first(key) ?? first(`@${domainOf(key)}`);
}
