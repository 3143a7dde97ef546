/** What a durable write asks of the kernel, and what it makes of a kernel that takes less than it was given. */
import assert from 'node:assert/strict';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeFileDurable } from '../../../../src/lib/os/files/files.ts';
import { temporaryHome, type TemporaryHome } from '../../../support/environment.ts';
import { requires } from '../../../support/requirements.ts';
import { traced, undurable } from '../../../support/trace.ts';

/** A method of file handles that takes data first. */
type Way = (this: unknown, data: string | Uint8Array, ...rest: unknown[]) => Promise<unknown>;

const SOURCE = fileURLToPath(new URL('../../../../src/lib/os/files/files.ts', import.meta.url));

describe('a durable write, seen by the kernel', () => {
  let home: TemporaryHome;
  let file: string;

  beforeEach(async () => {
    home = await temporaryHome();
    file = join(home.home, 'file');
    await writeFile(file, 'old');
  });

  afterEach(() => home.remove());

  it('is on the disk before it has its name, and its name before the writer goes on', async function () {
    requires(this, 'strace');
    const program = `
      const { writeFileDurable } = await import(${JSON.stringify(SOURCE)});
      await writeFileDurable(${JSON.stringify(file)}, 'x'.repeat(5000));
      console.log('written');`;
    const argv = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', program];
    const { calls, stderr } = await traced(argv);
    assert.equal((await readFile(file, 'utf8')).length, 5000, stderr);
    assert.deepEqual(undurable(calls, home.home, 'written'), { renamed: 1, problems: [] });
  });

  it('is refused, and the old file kept, where fewer bytes are taken than were given and nobody says so', async () => {
    const handle = await open(file);
    const ways = Object.getPrototypeOf(handle) as Record<'write' | 'writeFile', Way>;
    await handle.close();
    const honest = { write: ways.write, writeFile: ways.writeFile };
    // A full disk has been seen to do this.
    ways.writeFile = function (data, ...rest) {
      return honest.writeFile.call(this, data.slice(0, -1), ...rest);
    };
    ways.write = async function (data, ...rest) {
      await honest.write.call(this, data.slice(0, -1), ...rest);
      return { bytesWritten: data.length, buffer: data };
    };
    try {
      await assert.rejects(writeFileDurable(file, 'a new one'), { code: 'io_error' });
    } finally {
      Object.assign(ways, honest);
    }
    assert.equal(await readFile(file, 'utf8'), 'old');
    assert.deepEqual(await readdir(home.home), ['file']);
  });
});
