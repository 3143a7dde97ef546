import assert from 'node:assert/strict';
import { chmod, copyFile, readdir, readFile, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { type Paths, resolvePaths } from '../../../src/lib/os/paths.ts';
import type { GrantRecord } from '../../../src/lib/vault/grant.ts';
import { sealedName, Vault } from '../../../src/lib/vault/vault.ts';
import { temporaryHome, type TemporaryHome } from '../../support/environment.ts';
import { Secret } from '../../../src/lib/core/secret.ts';
import { revealed } from '../../support/secrets.ts';

const KEY = { key: new Secret(Buffer.alloc(32, 1)), id: 'k' };
const record = (address: string, token = 'token'): GrantRecord => ({
  address,
  grant_id: 'g',
  state: 'active',
  signed_in_at: 1,
  secrets: { refresh_token: new Secret(token) },
});

describe('the vault', () => {
  let home: TemporaryHome;
  let paths: Paths;
  let vault: Vault;

  beforeEach(async () => {
    home = await temporaryHome();
    paths = resolvePaths(home.env);
    vault = new Vault(paths, () => Promise.resolve(KEY));
  });

  afterEach(() => home.remove());

  const files = async (): Promise<string[]> =>
    (await readdir(paths.vaultDir)).map((name) => join(paths.vaultDir, name));

  it('keeps one file for each account, for its owner only, its name a hash', async () => {
    await vault.probe();
    await vault.write(record('jane@example.org'));
    await vault.write(record('bob@example.org'));
    assert.deepEqual(revealed(await vault.read('jane@example.org')), revealed(record('jane@example.org')));
    assert.equal(await vault.read('nobody@example.org'), undefined);
    const names = await files();
    assert.equal(names.length, 2);
    for (const name of names) {
      assert.match(name, /\/[0-9a-f]{64}\.sealed$/);
      assert.equal((await stat(name)).mode & 0o777, 0o600);
    }
    assert.equal((await stat(paths.vaultDir)).mode & 0o777, 0o700);
  });

  it('asks for its key once, and not again for some seconds when it cannot be had', async () => {
    let asked = 0;
    let locked = true;
    const asking = new Vault(paths, () => {
      asked++;
      return locked ? Promise.reject(new CmsError('store_locked', 'locked')) : Promise.resolve(KEY);
    });
    const outcomes = await Promise.allSettled([asking.key(), asking.key(), asking.key()]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected'],
    );
    await assert.rejects(asking.key(), { code: 'store_locked' });
    assert.equal(asked, 1);
    locked = false;
    asking.forgetFailure();
    assert.equal((await asking.key()).id, 'k');
    asking.forgetFailure();
    assert.equal((await asking.key()).id, 'k');
    assert.equal(asked, 2);
  });

  it('reads with a new key, writes with it, and goes on to open what the former one sealed', async () => {
    const newer = { key: new Secret(Buffer.alloc(32, 2)), id: 'newer' };
    let current = KEY;
    let asked = 0;
    const open = () => {
      asked++;
      return Promise.resolve(current);
    };
    const resident = new Vault(paths, open);
    await resident.write(record('jane@example.org'));
    current = newer;
    const elsewhere = new Vault(paths, () => Promise.resolve(newer));
    await elsewhere.write(record('bob@example.org'));
    assert.equal((await resident.read('bob@example.org'))?.address, 'bob@example.org');
    assert.equal((await resident.read('jane@example.org'))?.address, 'jane@example.org');
    assert.equal(asked, 2);
    await resident.write(record('jane@example.org', 'sealed again'));
    assert.equal((await elsewhere.read('jane@example.org'))?.secrets.refresh_token?.reveal(), 'sealed again');
  });

  it('goes on with its key where the one of another file cannot be had', async () => {
    let locked = false;
    const resident = new Vault(paths, () =>
      locked ? Promise.reject(new CmsError('store_locked', 'locked')) : Promise.resolve(KEY),
    );
    await resident.write(record('jane@example.org'));
    const newer = { key: new Secret(Buffer.alloc(32, 2)), id: 'newer' };
    await new Vault(paths, () => Promise.resolve(newer)).write(record('bob@example.org'));
    locked = true;
    await assert.rejects(resident.read('bob@example.org'), { code: 'store_unavailable' });
    await resident.write(record('jane@example.org', 'again'));
    assert.equal((await resident.read('jane@example.org'))?.secrets.refresh_token?.reveal(), 'again');
  });

  it('seals with the key that is said to be in use now', async () => {
    const newer = { key: new Secret(Buffer.alloc(32, 2)), id: 'newer' };
    let current = KEY;
    const resident = new Vault(paths, () => Promise.resolve(current));
    await resident.write(record('jane@example.org'));
    resident.expectKey('k');
    current = newer;
    resident.expectKey('newer');
    await resident.write(record('jane@example.org'));
    const elsewhere = new Vault(paths, () => Promise.resolve(newer));
    assert.equal((await elsewhere.read('jane@example.org'))?.address, 'jane@example.org');
  });

  it('has room for an answer on a disk that is full by then', async () => {
    await vault.write(record('jane@example.org', 'before'));
    await using room = await vault.reserve(record('jane@example.org'));
    const next = record('jane@example.org', 'x'.repeat(6000));
    await vault.write(next, room);
    assert.deepEqual(revealed(await vault.read('jane@example.org')), revealed(next));
    assert.equal((await files()).length, 1);
    {
      await using unused = await vault.reserve(next);
      assert.ok(unused.holds(Buffer.alloc(16_384)));
      assert.equal((await files()).length, 2);
    }
    assert.equal((await files()).length, 1);
  });

  it('gives a hundred thousand hostile names a file each, and none of them a path', () => {
    const parts = [
      '..',
      '/',
      '\\',
      '\0',
      'a',
      'A',
      'é',
      'e\u0301',
      '\u202e',
      '%2e',
      '~',
      ' ',
      '.sealed',
      'x'.repeat(300),
      '@',
      '\n',
    ];
    const [names, files] = [new Set<string>(), new Set<string>()];
    for (let index = 0; index < 100_000; index++) {
      let [name, rest] = ['', index];
      for (; rest > 0; rest = Math.floor(rest / parts.length)) name += parts[rest % parts.length] ?? '';
      const file = sealedName(name);
      assert.match(file, /^[0-9a-f]{64}$/);
      names.add(name);
      files.add(file);
    }
    assert.equal(files.size, names.size);
    assert.ok(names.size > 99_000, String(names.size));
  });

  it('stays in its folder, whatever an account is called', async () => {
    await vault.probe();
    const names = fc.sample(
      fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('../../x', '/etc/passwd', '', 'a'.repeat(300))),
      40,
    );
    for (const name of names) await vault.write(record(name));
    for (const file of await readdir(home.path, { recursive: true, withFileTypes: true })) {
      if (file.isFile()) assert.equal(file.parentPath, paths.vaultDir);
    }
  });

  it('does not lend one account’s token to another whose file it was made to be', async () => {
    await vault.probe();
    await vault.write(record('jane@example.org', 'of jane'));
    const [janes] = await files();
    await vault.write(record('eve@example.org'));
    const eves = (await files()).find((name) => name !== janes)!;
    await copyFile(janes!, eves);
    await assert.rejects(vault.read('eve@example.org'), { code: 'data_invalid' });
    assert.throws(() => vault.readHeader('eve@example.org'), { code: 'data_invalid' });
    await vault.write(record('eve@example.org'));
    assert.equal((await vault.read('eve@example.org'))?.address, 'eve@example.org');
  });

  it('follows no link, neither to read nor to write', async () => {
    await vault.probe();
    await vault.write(record('jane@example.org'));
    const [file] = await files();
    const target = join(home.path, 'target');
    await writeFile(target, 'precious');
    await unlink(file!);
    await symlink(target, file!);
    await assert.rejects(vault.read('jane@example.org'), { code: 'io_error' });
    await assert.rejects(vault.write(record('jane@example.org')), { code: 'io_error' });
    assert.equal(await readFile(target, 'utf8'), 'precious');
  });

  it('reads nothing from a folder that others can write to, nor from one of its own in such a folder', async () => {
    await vault.probe();
    await vault.write(record('jane@example.org'));
    for (const folder of [paths.stateDir, paths.vaultDir]) {
      for (const mode of [0o720, 0o702, 0o777]) {
        await chmod(folder, mode);
        await assert.rejects(
          vault.read('jane@example.org'),
          { code: 'config_invalid' },
          `${folder} ${mode.toString(8)}`,
        );
      }
      await chmod(folder, 0o700);
    }
    assert.equal((await vault.read('jane@example.org'))?.address, 'jane@example.org');
  });

  it('shows the state of an account while the key cannot be had', async () => {
    await vault.probe();
    await vault.write(record('a@b.c'));
    const locked = new Vault(paths, () => Promise.reject(new CmsError('store_locked', 'locked')));
    assert.equal(locked.readHeader('a@b.c')?.state, 'active');
    await assert.rejects(locked.read('a@b.c'), { code: 'store_locked' });
  });

  it('sweeps what killed writers left, and nothing of the living', async () => {
    await vault.probe();
    const litter = join(paths.vaultDir, `x.sealed.tmp-999999999-${'0'.repeat(12)}`);
    const living = join(paths.vaultDir, `x.sealed.tmp-${process.pid}-${'0'.repeat(12)}`);
    for (const file of [litter, living]) await writeFile(file, 'half');
    await vault.sweep();
    assert.deepEqual(await files(), [living]);
  });
});
