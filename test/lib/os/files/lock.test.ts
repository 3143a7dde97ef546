import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { acquireLock, acquireLockNow } from '../../../../src/lib/os/files/lock.ts';
import { temporaryHome, type TemporaryHome } from '../../../support/environment.ts';
import { start } from '../../../support/processes.ts';

const SOURCE = fileURLToPath(new URL('../../../../src/lib/os/files/lock.ts', import.meta.url));

describe('a lock', () => {
  let home: TemporaryHome;
  let path: string;

  beforeEach(async () => {
    home = await temporaryHome();
    path = join(home.path, 'lock');
  });

  afterEach(() => home.remove());

  it('is held by one at a time, in one process too', async () => {
    let inside = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        await using _lock = await acquireLock(path, 10_000);
        assert.equal(++inside, 1);
        await sleep(1);
        inside--;
      }),
    );
  });

  it('is waited for no longer than was said', async () => {
    await using _lock = await acquireLock(path, 1000);
    assert.equal(await acquireLockNow(path), undefined);
    const began = performance.now();
    await assert.rejects(acquireLock(path, 100), { code: 'temporarily_unavailable' });
    assert.ok(performance.now() - began < 1000);
  });

  it('is free again the moment its holder is killed', async () => {
    const program = `const { acquireLock } = await import(${JSON.stringify(SOURCE)});
      await acquireLock(${JSON.stringify(path)}, 1000); console.log('held'); setInterval(() => {}, 1000);`;
    const holder = start(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program]);
    await holder.waitFor(/held/);
    assert.equal(await acquireLockNow(path), undefined);
    holder.kill('SIGKILL');
    await holder.exited;
    const lock = await acquireLockNow(path);
    assert.ok(lock);
    await lock[Symbol.asyncDispose]();
  });

  it('follows no link, and names the path that it cannot open', async () => {
    await symlink(join(home.path, 'target'), path);
    await assert.rejects(acquireLock(path, 100), { code: 'io_error' });
    await assert.rejects(acquireLock(join(home.path, 'no', 'lock'), 100), /open the lock .*no\/lock: ENOENT/);
  });
});
