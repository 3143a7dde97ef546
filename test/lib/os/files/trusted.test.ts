import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { hasOnly, isTrustedGroup, seenRoot } from '../../../../src/lib/os/files/groups.ts';
import {
  OTHERS_READ,
  judgeFolder,
  judgeWay,
  readTrusted,
  readTrustedText,
} from '../../../../src/lib/os/files/trusted.ts';
import { makeFolders } from '../../../../src/lib/os/files/files.ts';
import { temporaryHome, type TemporaryHome } from '../../../support/environment.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a file that is trusted', () => {
  let home: TemporaryHome;
  let file: string;
  beforeEach(async () => {
    home = await temporaryHome();
    file = join(home.path, 'file');
    writeFileSync(file, 'text', { mode: 0o600 });
    chmodSync(file, 0o600);
  });
  afterEach(() => home[Symbol.asyncDispose]());

  const refused = async (reason: RegExp, code = 'config_invalid', path = file, trust = {}): Promise<void> => {
    await turn();
    assert.throws(() => readTrusted(path, trust), { code, message: reason });
  };

  it('is read as it is, and nothing where there is none', () => {
    assert.equal(readTrustedText(file), 'text');
    assert.equal(readTrusted(join(home.path, 'none')), undefined);
    assert.equal(readTrusted(join(home.path, 'none', 'none')), undefined);
    for (const size of [0, 16_383, 16_384, 16_385, 100_000]) {
      writeFileSync(file, 'x'.repeat(size));
      assert.equal(readTrusted(file)?.length, size);
    }
  });

  it('cannot be written by others, nor read by them where it is secret', async () => {
    for (const [mode, who] of [
      [0o602, /every user can change it \(mode 0602\)/],
      [0o646, /every user can change it/],
    ] as const) {
      chmodSync(file, mode);
      await refused(who);
    }
    chmodSync(file, 0o644);
    assert.equal(readTrustedText(file), 'text');
    await refused(/cannot trust .*file: every user can read it \(mode 0644\)/, 'config_invalid', file, {
      forbidden: OTHERS_READ,
    });
    chmodSync(file, 0o640);
    if (process.getuid?.() !== 0) return;
    execFileSync('chgrp', ['games', file]);
    await refused(/group \d+ can read it/, 'config_invalid', file, { forbidden: OTHERS_READ });
  });

  it('lies where no other user can exchange a name', async () => {
    const [above, folder] = [join(home.path, 'above'), join(home.path, 'above', 'folder')];
    mkdirSync(folder, { recursive: true });
    file = join(folder, 'file');
    writeFileSync(file, 'text');
    for (const place of [folder, above]) {
      chmodSync(place, 0o777);
      await refused(new RegExp(`others may write to ${place} \\(mode 0777\\)`));
      chmodSync(place, 0o1777);
      await turn();
      assert.equal(readTrustedText(file), 'text', 'sticky');
      chmodSync(place, 0o755);
      await turn();
    }
    assert.equal(readTrustedText(file), 'text');
  });

  it('is followed through links of directories, judged like the directories they lead to', async () => {
    const folder = join(home.path, 'folder');
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), 'there');
    symlinkSync('folder', join(home.path, 'one'));
    symlinkSync(join(home.path, 'one'), join(home.path, 'two'));
    assert.equal(readTrustedText(join(home.path, 'two', 'file')), 'there');
    assert.equal(readTrustedText(`${home.path}/two/../folder/./file`), 'there');
    chmodSync(folder, 0o777);
    await refused(/others may write to/, 'config_invalid', join(home.path, 'two', 'file'));
  });

  it('is a link only where that is allowed, and then what it leads to counts', async () => {
    const link = join(home.path, 'link');
    symlinkSync(file, link);
    await refused(/it is a symbolic link, not a regular file/, 'io_error', link);
    assert.equal(readTrustedText(link, { links: true }), 'text');
    chmodSync(file, 0o666);
    await refused(/every user can change it/, 'config_invalid', link, { links: true });
    rmSync(file);
    assert.equal(readTrustedText(link, { links: true }), undefined);
    symlinkSync('link', file);
    await refused(/ELOOP/, 'io_error', link, { links: true });
  });

  it('is no FIFO, socket, device or directory, and nothing waits for one', async () => {
    const fifo = join(home.path, 'fifo');
    execFileSync('mkfifo', [fifo]);
    await refused(/it is a FIFO, not a regular file/, 'io_error', fifo);
    await refused(/it is a directory, not a regular file/, 'io_error', home.path);
    await refused(/it is a device/, 'io_error', '/dev/null');
    const socket = join(home.path, 's');
    const server = createServer().listen(socket);
    await new Promise((resolve) => server.once('listening', resolve));
    await refused(/it is a socket/, 'io_error', socket);
    server.close();
  });

  it('belongs to who trusts, or to root', () => {
    const uid = process.getuid?.() ?? 0;
    assert.ok(readTrusted('/etc/passwd'));
    assert.throws(() => readTrusted('/etc/passwd', { own: true, uid: uid + 1 }), /belongs to uid 0/);
    if (uid === 0) return;
    assert.throws(() => judgeWay(file, { uid: uid + 1 }), {
      message: /belongs to another user \(uid \d+\)/,
      // Nobody is told to take a home from its owner.
      suggestions: [`namei -l ${file}   # whose each directory is`],
    });
    assert.equal(readTrustedText(file, { uid: uid + 1, owner: uid }), 'text');
  });
});

describe('a folder that names are made in', () => {
  it('may not be there yet', () => {
    assert.equal(judgeFolder('/nowhere/at/all').stat, undefined);
  });

  it('is made with its parents, and a file system that makes none is an error, not an endless wait', async () => {
    await using home = await temporaryHome();
    const deep = join(home.path, 'a', 'b', 'c');
    assert.equal(await makeFolders(deep, 0o700), join(home.path, 'a'));
    assert.equal(await makeFolders(deep, 0o700), undefined);
    for (const path of ['/proc/x', '/proc/x/y/z', '/proc/self/fd/x/y']) {
      await assert.rejects(makeFolders(path, 0o700), { code: 'io_error' });
    }
    writeFileSync(join(home.path, 'file'), '');
    await assert.rejects(makeFolders(join(home.path, 'file', 'x'), 0o700), { code: 'io_error', message: /ENOTDIR/ });
    symlinkSync('nowhere', join(home.path, 'link'));
    await assert.rejects(makeFolders(join(home.path, 'link', 'x'), 0o700), { code: 'io_error' });
  });
});

describe('a group that may write', () => {
  const lines = (...texts: string[]): string[][] => texts.map((text) => text.split(':'));
  const passwd = lines('root:x:0:0::', 'jane:x:1000:1000::', 'bob:x:1001:1001::', 'cms:x:990:990::');
  const group = lines(
    ...['root:x:0:', 'staff:x:50:bob', 'jane:x:1000:', 'bob:x:1001:jane', 'team:x:1005:jane,bob', 'alone:x:1006:jane'],
    ...['remote:x:1007:ldapuser', 'users:x:100:'],
  );
  const isJanes = (uid: number): boolean => uid === 1000 || uid === 0;
  const only = (gid: number): boolean | undefined => hasOnly(gid, { passwd, group }, isJanes);

  it('is one of trusted users alone: a private one, or one of administrators', () => {
    assert.deepEqual([only(0), only(50), only(1000), only(1006)], [true, true, true, true]);
    assert.deepEqual([only(1001), only(1005)], [false, false]);
  });

  it('is not one whose members are unknown', () => {
    assert.deepEqual([only(4711), only(100), only(1007)], [undefined, undefined, undefined]);
  });

  it('of a directory service is asked for once, however many files lie in its folders', async () => {
    await using home = await temporaryHome();
    const log = join(home.path, 'log');
    const getent = `#!/bin/sh\necho "$1" >>${log}\n[ "$1" = group ] && echo remote:x:60001: || echo remote:x:60001:60001::\n`;
    writeFileSync(join(home.path, 'getent'), getent, { mode: 0o755 });
    const { PATH } = process.env;
    process.env.PATH = `${home.path}:${PATH}`;
    try {
      for (let file = 0; file < 3; file++) assert.ok(isTrustedGroup(60001, (uid) => uid === 60001));
      assert.equal(
        isTrustedGroup(60001, (uid) => uid === 60002),
        false,
      );
    } finally {
      process.env.PATH = PATH;
    }
    assert.equal(readFileSync(log, 'utf8'), 'group\npasswd\n');
  });

  it('is seen as root’s where the namespace has no root', () => {
    assert.equal(seenRoot('         0          0 4294967295\n', '65534\n'), 0);
    assert.equal(seenRoot('      1000       1000          1\n', '65534\n'), 65534);
    assert.equal(seenRoot('', ''), 0);
  });
});
