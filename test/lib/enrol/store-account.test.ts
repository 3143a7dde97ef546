/** A sign-in changes two files: both, or neither; and a name has one owner, whoever comes at the same time. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PasswordAccount } from '../../../src/lib/accounts/account.ts';
import { type Context, openContext } from '../../../src/lib/context.ts';
import { prepareVault, storePassword } from '../../../src/lib/enrol/store-account.ts';
import { Secret } from '../../../src/lib/core/secret.ts';
import { temporaryHome, type TemporaryHome } from '../../support/environment.ts';

const account = (address: string, user = address, ...aliases: string[]): PasswordAccount => ({
  kind: 'password',
  address,
  provider: 'custom',
  login: address,
  smtp_user: user,
  imap_user: user,
  aliases,
  protocols: ['smtp'],
  servers: {},
  created_at: '2026-01-01T00:00:00Z',
});

describe('storing a sign-in', () => {
  let home: TemporaryHome;
  let context: Context;

  beforeEach(async () => {
    home = await temporaryHome();
    context = openContext(home.env);
    await prepareVault(context, { store: 'file', interactive: false });
    await storePassword(context, account('jane@x.org', 'old'), new Secret('old password'));
  });
  afterEach(() => home.remove());

  const note = (): string => join(home.stateDir, 'sign-in.json');
  const password = async (address = 'jane@x.org'): Promise<string | undefined> =>
    (await openContext(home.env).vault.read(address))?.secrets.password?.reveal();
  const user = async (): Promise<string | undefined> =>
    (await openContext(home.env).accounts.read()).accounts['jane@x.org']?.smtp_user;

  it('takes the grant back where accounts.json cannot be replaced after all', async () => {
    const { accounts, vault } = context;
    const undo = vault.snapshot('jane@x.org');
    const before = await readFile(context.paths.accountsFile);
    const write = async (): Promise<void> => {
      await vault.write({ address: 'jane@x.org', grant_id: 'new', state: 'active', signed_in_at: 1, secrets: {} });
      throw new Error('no such luck');
    };
    const stored = accounts.store(account('jane@x.org', 'new'), { id: 'new', write, undo }, () => undefined);
    await assert.rejects(stored, /no such luck/);
    assert.equal(await password(), 'old password');
    assert.deepEqual(await readFile(context.paths.accountsFile), before);
    await assert.rejects(readFile(note()), { code: 'ENOENT' });
  });

  it('is finished by the next reader after a crash between the two files', async () => {
    const crashed = { account: account('jane@x.org', 'new'), grant_id: 'new' };
    await context.vault.write({
      address: 'jane@x.org',
      grant_id: 'new',
      state: 'active',
      signed_in_at: 1,
      secrets: { password: new Secret('new password') },
    });
    await writeFile(note(), JSON.stringify(crashed));
    assert.equal(await user(), 'new');
    assert.equal(await password(), 'new password');
    await assert.rejects(readFile(note()), { code: 'ENOENT' });
  });

  it('is forgotten by the next reader after a crash before the first', async () => {
    for (const text of [JSON.stringify({ account: account('jane@x.org', 'new'), grant_id: 'new' }), '', 'nonsense']) {
      await writeFile(note(), text);
      assert.equal(await user(), 'old');
      await assert.rejects(readFile(note()), { code: 'ENOENT' });
    }
  });

  it('gives a name to one of two that come at the same time', async () => {
    const [a, b] = await Promise.allSettled(
      ['bob@x.org', 'eve@x.org'].map((address) =>
        storePassword(openContext(home.env), account(address, address, 'sales@x.org'), new Secret('x')),
      ),
    );
    assert.deepEqual([a?.status, b?.status].sort(), ['fulfilled', 'rejected']);
    const { accounts } = await openContext(home.env).accounts.read();
    assert.equal(Object.values(accounts).filter(({ aliases }) => aliases.includes('sales@x.org')).length, 1);
    const loser = a?.status === 'rejected' ? 'bob@x.org' : 'eve@x.org';
    assert.equal(await password(loser), undefined, 'and the other one leaves nothing behind');
  });

  it('refuses an address that is an alias of another account', async () => {
    await storePassword(context, account('bob@x.org', 'bob', 'sales@x.org', '@y.org'), new Secret('x'));
    for (const [address, ...aliases] of [['sales@x.org'], ['eve@x.org', '@y.org'], ['eve@x.org', 'jane@x.org']])
      await assert.rejects(storePassword(context, account(address!, 'eve', ...aliases), new Secret('x')), {
        code: 'config_invalid',
      });
    await storePassword(context, account('own@y.org'), new Secret('x'));
  });
});
