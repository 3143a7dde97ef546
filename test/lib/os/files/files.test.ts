import assert from 'node:assert/strict';
import { chmod, lstat, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  ensurePrivateFolder,
  removeEmptyFolders,
  readFileIfAny,
  readTextNowIfAny,
  sweepTemporaries,
  writeFileDurable,
} from '../../../../src/lib/os/files/files.ts';
import { temporaryHome, type TemporaryHome } from '../../../support/environment.ts';
import { run, start } from '../../../support/processes.ts';
import { asRoot, requiresRoot } from '../../../support/requirements.ts';

const SOURCE = fileURLToPath(new URL('../../../../src/lib/os/files/files.ts', import.meta.url));

describe('a durable write', () => {
  let home: TemporaryHome;
  let folder: string;
  let file: string;

  beforeEach(async () => {
    home = await temporaryHome();
    folder = home.path;
    file = join(folder, 'file');
    await writeFile(file, 'old');
  });

  afterEach(() => home.remove());

  const names = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.startsWith('file'));

  /** A process that writes `file`, with `prelude` before it in a shell. */
  const writeIn = (prelude: string, expression: string) =>
    run('bash', [
      '-c',
      `${prelude}; exec "$0" "$@"`,
      process.execPath,
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      script(expression),
    ]);
  const script = (expression: string): string =>
    `const { writeFileDurable } = await import(${JSON.stringify(SOURCE)}); ${expression}`;

  it('replaces the whole file, with exactly the mode that was asked for', async () => {
    for (const umask of [0, 0o077, 0o777]) {
      const before = process.umask(umask);
      try {
        await writeFileDurable(file, Buffer.from([0, 255, 10]), 0o640);
      } finally {
        process.umask(before);
      }
      assert.equal((await stat(file)).mode & 0o777, 0o640);
    }
    assert.deepEqual(await readFile(file), Buffer.from([0, 255, 10]));
    assert.deepEqual(await names(), ['file']);
  });

  it('leaves the old file and no litter where the system takes no more bytes', async () => {
    const expression = `await writeFileDurable(${JSON.stringify(file)}, 'x'.repeat(5000)).catch((e) => console.log(e.code, e.message))`;
    const { stdout } = await writeIn(`trap '' XFSZ; ulimit -f 1`, expression);
    assert.match(stdout, /^io_error cannot write .*file: EFBIG/);
    assert.equal(await readFile(file, 'utf8'), 'old');
    assert.deepEqual(await names(), ['file']);
  });

  it('leaves the old file and no litter on a full disk', async function () {
    requiresRoot(this);
    const program = script(`
      await writeFileDurable('/mnt/file', 'old');
      await writeFileDurable('/mnt/file', 'x'.repeat(200000)).catch((e) => console.log(e.code, e.message));
      const fs = await import('node:fs');
      console.log(fs.readFileSync('/mnt/file', 'utf8'), fs.readdirSync('/mnt').join());`);
    const mounting = ['unshare', '--mount', 'bash', '-c', 'mount -t tmpfs -o size=64k none /mnt && exec "$0" "$@"'];
    const [command = '', ...args] = asRoot([
      ...mounting,
      process.execPath,
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      program,
    ]);
    const { stdout, stderr } = await run(command, args);
    assert.match(stdout, /^io_error cannot write \/mnt\/file: ENOSPC\nold file\n$/, stderr);
  });

  it('is seen whole or not at all by readers, and by those who find it after a kill', async () => {
    const bodies = ['a', 'b'].map((letter) => letter.repeat(30_000));
    const expression = `for (let i = 0; ; i++) await writeFileDurable(${JSON.stringify(file)}, 'ab'[i % 2].repeat(30000)).then(() => i || console.log('go'))`;
    const writer = start(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script(expression)]);
    await writer.waitFor(/go/);
    for (let round = 0; round < 100; round++) {
      const text = await readFile(file, 'utf8');
      assert.ok(bodies.includes(text), `${text.length} bytes`);
      await sleep(1);
    }
    writer.kill('SIGKILL');
    await writer.exited;
    assert.ok(bodies.includes(await readFile(file, 'utf8')));
    await sweepTemporaries(folder, file);
    assert.deepEqual(await names(), ['file']);
  });

  it('does not write through a link', async () => {
    const link = join(folder, 'link');
    await symlink(file, link);
    await assert.rejects(writeFileDurable(link, 'new'), { code: 'io_error' });
    assert.ok((await lstat(link)).isSymbolicLink());
    await assert.rejects(writeFileDurable(folder, 'new'), { code: 'io_error' });
    await assert.rejects(writeFileDurable(join(folder, 'no', 'file'), 'new'), { code: 'io_error' });
    assert.equal(await readFile(file, 'utf8'), 'old');
  });

  it('does not write into somebody else’s file', async function () {
    requiresRoot(this);
    const [command = '', ...args] = asRoot(['chown', '65534:65534', file]);
    assert.equal((await run(command, args)).status, 0);
    await assert.rejects(writeFileDurable(file, 'new'), /belongs to uid 65534/);
  });
});

describe('reading and folders', () => {
  let home: TemporaryHome;

  beforeEach(async () => {
    home = await temporaryHome();
  });

  afterEach(() => home.remove());

  it('reads undefined where there is nothing, and follows no link', async () => {
    assert.equal(await readFileIfAny(join(home.path, 'nothing')), undefined);
    const link = join(home.path, 'link');
    await symlink('/etc/passwd', link);
    await assert.rejects(readFileIfAny(link), { code: 'io_error' });
    await assert.rejects(readFileIfAny(home.path), { code: 'io_error' });
    assert.equal(readTextNowIfAny(join(home.path, 'nothing')), undefined);
    assert.throws(() => readTextNowIfAny(link), { code: 'io_error' });
    assert.throws(() => readTextNowIfAny(home.path), { code: 'io_error' });
  });

  it('reads a file of any size at once, and nothing of the one before', async () => {
    const file = join(home.path, 'file');
    for (const size of [0, 1, 16_383, 16_384, 16_385, 100_000, 5]) {
      const text = '€'.repeat(size);
      await writeFile(file, text);
      assert.equal(readTextNowIfAny(file), text, String(size));
    }
  });

  it('makes a folder for its owner alone and refuses one that is not', async () => {
    const folder = join(home.path, 'a', 'b');
    await ensurePrivateFolder(folder);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    for (const mode of [0o720, 0o702, 0o777]) {
      await chmod(folder, mode);
      await assert.rejects(ensurePrivateFolder(folder), { code: 'config_invalid' });
    }
    await symlink(home.home, join(home.path, 'link'));
    await assert.rejects(ensurePrivateFolder(join(home.path, 'link')), { code: 'config_invalid' });
    await writeFile(join(home.path, 'file'), '');
    await assert.rejects(ensurePrivateFolder(join(home.path, 'file')), { code: 'io_error' });
  });

  it('takes back the folders that it made, as far as they are empty', async () => {
    const made = await ensurePrivateFolder(join(home.path, 'a', 'b', 'c'));
    assert.equal(made, join(home.path, 'a'));
    assert.equal(await ensurePrivateFolder(join(home.path, 'a', 'b', 'c')), undefined);
    await writeFile(join(home.path, 'a', 'somebody else'), '');
    await removeEmptyFolders(join(home.path, 'a', 'b', 'c'), made);
    assert.deepEqual(await readdir(join(home.path, 'a')), ['somebody else']);
    await rm(join(home.path, 'a', 'somebody else'));
    await removeEmptyFolders(join(home.path, 'a'), made);
    assert.equal((await readdir(home.path)).includes('a'), false);
    assert.equal((await stat(home.path)).isDirectory(), true);
  });

  it('sweeps only temporary files, and only those of dead writers', async () => {
    const folder = join(home.path, 'sweep');
    await mkdir(folder);
    const living = [process.pid, 1].map((pid) => `file.tmp-${pid}-0123456789ab`);
    const kept = ['file', 'file.tmp', ...living, 'file.tmp-999999999-short'];
    for (const name of [...kept, 'file.tmp-999999999-0123456789ab']) await writeFile(join(folder, name), '');
    assert.equal(await sweepTemporaries(folder), 1);
    assert.deepEqual((await readdir(folder)).sort(), kept.sort());
    assert.equal(await sweepTemporaries(join(folder, 'nowhere')), 0);
  });
});
