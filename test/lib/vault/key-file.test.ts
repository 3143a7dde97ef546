import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKeyFile, type KeyFileTrust, readKeyFile } from '../../../src/lib/vault/key-file.ts';
import { asRoot, requiresRoot } from '../../support/requirements.ts';

describe('a vault key file', () => {
  let folder: string;
  let path: string;
  const key = randomBytes(32);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cms-key-file-'));
    path = join(folder, 'vault.key');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function refused(trust: KeyFileTrust, message: RegExp): Promise<void> {
    await assert.rejects(readKeyFile(path, trust), { code: 'config_invalid', message });
  }

  it('is absent when there is none', async () => {
    assert.equal(await readKeyFile(path, 'own'), undefined);
  });

  it('is created with mode 0600 under any umask, reads back, and leaves nothing beside it', async () => {
    const before = process.umask(0o277);
    try {
      assert.deepEqual(await createKeyFile(path, 'own', key), key);
    } finally {
      process.umask(before);
    }
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(await readKeyFile(path, 'own'), key);
    assert.deepEqual(readdirSync(folder), ['vault.key']);
  });

  it('is never overwritten: whoever comes second gets the first key', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => createKeyFile(path, 'own', randomBytes(32))));
    for (const found of keys) assert.deepEqual(found, keys[0]);
    assert.deepEqual(await createKeyFile(path, 'own', key), keys[0]);
    assert.deepEqual(readdirSync(folder), ['vault.key']);
  });

  it('is refused when others may read or write it, with the command that mends it', async () => {
    await createKeyFile(path, 'own', key);
    for (const mode of [0o604, 0o640, 0o620, 0o602, 0o644, 0o666]) {
      chmodSync(path, mode);
      await assert.rejects(readKeyFile(path, 'own'), { code: 'config_invalid', suggestions: [`chmod 600 ${path}`] });
    }
    chmodSync(path, 0o400);
    assert.deepEqual(await readKeyFile(path, 'own'), key);
  });

  it('is refused as a link, unless somebody named it', async () => {
    await createKeyFile(join(folder, 'real'), 'own', key);
    symlinkSync('real', path);
    await refused('own', /is a symbolic link/);
    assert.deepEqual(await readKeyFile(path, 'named'), key);
  });

  it('may be read by a group when somebody named it, but not by everybody', async () => {
    await createKeyFile(path, 'named', key);
    chmodSync(path, 0o440);
    assert.deepEqual(await readKeyFile(path, 'named'), key);
    chmodSync(path, 0o444);
    await refused('named', /open to others \(mode 0444\)/);
  });

  it('is refused when it belongs to somebody else', async function () {
    requiresRoot(this);
    await createKeyFile(path, 'own', key);
    const [command = '', ...args] = asRoot(['chown', '65534:65534', path]);
    execFileSync(command, args);
    // Whoever is not root cannot even open it.
    for (const trust of ['own', 'named'] as const) {
      await assert.rejects(readKeyFile(path, trust), /belongs to uid 65534|EACCES/);
    }
  });

  it('is refused as a FIFO or a folder, without waiting', async () => {
    execFileSync('mkfifo', ['-m', '600', path]);
    await refused('own', /not a regular file/);
    await refused('named', /not a regular file/);
    path = folder;
    await refused('own', /not a regular file/);
  });

  it('is refused when it holds anything but a key', async () => {
    writeFileSync(path, '', { mode: 0o600 });
    await refused('own', /holds no key/);
    writeFileSync(path, Buffer.alloc(100_000));
    await refused('own', /holds no key/);
  });
});
