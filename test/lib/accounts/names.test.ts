import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Account } from '../../../src/lib/accounts/account.ts';
import { findAccount, indexByName, ownerIn } from '../../../src/lib/accounts/names.ts';

const account = (address: string, ...aliases: string[]): Account => ({
  kind: 'password',
  address,
  provider: 'custom',
  login: address,
  smtp_user: address,
  imap_user: address,
  aliases,
  protocols: ['smtp'],
  servers: {},
  created_at: '2026-01-01T00:00:00Z',
});
const byAddress = (accounts: readonly Account[]): Record<string, Account> =>
  Object.fromEntries(accounts.map((each) => [each.address, each]));

describe('the owner of a name', () => {
  it('is the account of that address, then that of the alias, then that of the domain', () => {
    const all = [account('z@x.org', 'b@x.org', '@x.org'), account('b@x.org'), account('c@x.org', 'Sales@x.org')];
    for (const [name, owner] of [
      ['b@x.org', 'b@x.org'],
      ['sales@X.org', 'c@x.org'],
      ['else@x.org', 'z@x.org'],
      ['else@y.org', undefined],
    ] as const) {
      assert.equal(findAccount(byAddress(all), name)?.address, owner, name);
      assert.equal(ownerIn(indexByName(all), name)?.address, owner, name);
    }
  });

  it('is the same for every process, whatever was written into the file by hand, in whatever order', () => {
    const name = fc.constantFrom('a@x', 'b@x', 'c@x', 'd@y', '@x', '@y', 'A@x');
    const address = fc.constantFrom('a@x', 'b@x', 'c@x', 'd@y');
    const accounts = fc.uniqueArray(fc.tuple(address, fc.array(name, { maxLength: 3 })), { selector: ([key]) => key });
    fc.assert(
      fc.property(accounts, name, (entries, asked) => {
        const all = entries.map(([key, aliases]) => account(key, ...aliases));
        const owner = findAccount(byAddress(all), asked)?.address;
        assert.equal(ownerIn(indexByName(all), asked)?.address, owner);
        assert.equal(findAccount(byAddress([...all].reverse()), asked)?.address, owner);
      }),
    );
  });
});
