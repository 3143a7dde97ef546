import assert from 'node:assert/strict';
import { chmod, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from '../../../src/lib/accounts/account.ts';
import { AccountStore, findAccount } from '../../../src/lib/accounts/store.ts';
import { type Paths, resolvePaths } from '../../../src/lib/os/paths.ts';
import { temporaryHome, type TemporaryHome } from '../../support/environment.ts';

const account = (address: string, aliases: string[] = []): Account => ({
  kind: 'password',
  address,
  provider: 'custom',
  login: address,
  smtp_user: address,
  imap_user: address,
  aliases,
  protocols: ['smtp'],
  servers: {},
  created_at: '2026-01-01T00:00:00.000Z',
});

describe('the account store', () => {
  let home: TemporaryHome;
  let paths: Paths;
  let store: AccountStore;

  beforeEach(async () => {
    home = await temporaryHome();
    paths = resolvePaths(home.env);
    store = new AccountStore(paths);
  });

  afterEach(() => home.remove());

  const add = (each: Account) =>
    store.update((file) => ({ ...file, accounts: { ...file.accounts, [each.address]: each } }));

  it('is empty without a file, and makes nothing by reading', async () => {
    assert.deepEqual(await store.list(), []);
    await assert.rejects(stat(paths.configDir), { code: 'ENOENT' });
  });

  it('writes a file that only its owner reads, whatever the umask', async () => {
    const before = process.umask(0);
    try {
      await add(account('a@b.c'));
    } finally {
      process.umask(before);
    }
    assert.equal((await stat(paths.accountsFile)).mode & 0o777, 0o600);
    assert.equal((await stat(paths.configDir)).mode & 0o777, 0o700);
    assert.deepEqual(await store.list(), [account('a@b.c')]);
  });

  it('loses no change of many at once', async () => {
    const names = Array.from({ length: 30 }, (_each, index) => `u${index}@b.c`);
    const others = [store, new AccountStore(paths)];
    await Promise.all(
      names.map((name, index) =>
        others[index % 2]!.update((file) => ({ ...file, accounts: { ...file.accounts, [name]: account(name) } })),
      ),
    );
    assert.equal((await store.list()).length, 30);
    assert.deepEqual(await readdir(paths.configDir), ['accounts.json']);
  });

  it('sees what somebody else has written, be it a new file or into the same one', async () => {
    const [other, jane] = [new AccountStore(paths), account('jane@x.org')];
    await other.update((file) => ({ ...file, accounts: { [jane.address]: jane } }));
    assert.deepEqual(Object.keys((await store.read()).accounts), [jane.address]);
    assert.equal(await store.read(), await store.read(), 'read once while nothing changes');
    await other.update((file) => ({ ...file, accounts: {} }));
    assert.deepEqual((await store.read()).accounts, {});
    await writeFile(paths.accountsFile, JSON.stringify({ version: 1, accounts: { [jane.address]: jane } }));
    assert.deepEqual(Object.keys((await store.read()).accounts), [jane.address]);
  });

  it('keeps what it does not know of a file of its version', async () => {
    await home.writeConfig('accounts.json', JSON.stringify({ version: 1, accounts: {}, later: { x: 1 } }));
    await add(account('a@b.c'));
    assert.deepEqual(JSON.parse(await readFile(paths.accountsFile, 'utf8')).later, { x: 1 });
  });

  it('leaves the file as it was when a change fails', async () => {
    await add(account('a@b.c'));
    const before = await readFile(paths.accountsFile, 'utf8');
    await assert.rejects(
      store.update(() => {
        throw new Error('no');
      }),
      /no/,
    );
    assert.equal(await readFile(paths.accountsFile, 'utf8'), before);
  });

  for (const [what, content] of [
    ['no JSON', '{'],
    ['nothing', ''],
    ['an array', '[]'],
    ['no version', '{"accounts":{}}'],
    ['a version that is no number', '{"version":"1","accounts":{}}'],
    ['a newer version', '{"version":2,"accounts":{}}'],
    ['accounts that are a list', '{"version":1,"accounts":[]}'],
    ['an account under another name', JSON.stringify({ version: 1, accounts: { 'x@y.z': account('a@b.c') } })],
    [
      'an account without a client',
      JSON.stringify({ version: 1, accounts: { 'a@b.c': { ...account('a@b.c'), kind: 'oauth' } } }),
    ],
  ] as const) {
    it(`refuses ${what} and touches nothing`, async () => {
      await home.writeConfig('accounts.json', content);
      await assert.rejects(store.read(), { code: 'config_invalid' });
      await assert.rejects(add(account('a@b.c')), { code: 'config_invalid' });
      assert.equal(await readFile(paths.accountsFile, 'utf8'), content);
    });
  }

  it('follows no link that somebody planted', async () => {
    await add(account('a@b.c'));
    const target = join(home.path, 'target');
    await writeFile(target, '{"version":1,"accounts":{}}');
    const { rm } = await import('node:fs/promises');
    await rm(paths.accountsFile);
    await symlink(target, paths.accountsFile);
    await assert.rejects(store.read(), { code: 'io_error' });
    await assert.rejects(add(account('x@b.c')), { code: 'io_error' });
    assert.equal(await readFile(target, 'utf8'), '{"version":1,"accounts":{}}');
  });

  it('refuses a folder that others can write to', async () => {
    await add(account('a@b.c'));
    await chmod(paths.configDir, 0o777);
    await assert.rejects(add(account('x@b.c')), { code: 'config_invalid' });
  });
});

describe('finding an account', () => {
  const accounts = Object.fromEntries(
    [account('jane@x.org', ['team@x.org', '@y.org']), account('bob@y.org'), account('eve@x.org', ['info@y.org'])].map(
      (each) => [each.address, each] as const,
    ),
  );

  for (const [asked, expected] of [
    ['jane@x.org', 'jane@x.org'],
    ['jane@X.ORG', 'jane@x.org'],
    ['team@x.org', 'jane@x.org'],
    ['anyone@y.org', 'jane@x.org'],
    ['bob@y.org', 'bob@y.org'],
    ['info@y.org', 'eve@x.org'],
    ['nobody@x.org', undefined],
    ['a@sub.y.org', undefined],
    ['@y.org', 'jane@x.org'],
    ['__proto__', undefined],
    ['constructor', undefined],
    ['', undefined],
  ] as const) {
    it(`${asked} is of ${String(expected)}`, () => {
      assert.equal(findAccount(accounts, asked)?.address, expected);
    });
  }
});
