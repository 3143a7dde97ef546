import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flushQueue, flushRemedy } from '../../../src/lib/notify/queue.ts';

describe('the queue run that exim is asked for', () => {
  let folder: string;
  let program: string;
  const env = { PATH: process.env.PATH, SECRET_OF_MINE: 'x' };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cms-queue-'));
    program = join(folder, 'exim4');
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function exim(script: string): Promise<void> {
    await writeFile(program, `#!/bin/sh\n${script}\n`);
    await chmod(program, 0o700);
  }
  const kernelSays = async (text: string): Promise<string> => {
    const statusFile = join(folder, 'status');
    await writeFile(statusFile, text);
    return statusFile;
  };

  it('is one of all messages, in the environment of a hook', async () => {
    await exim(`echo "$* $SECRET_OF_MINE" > ${folder}/asked`);
    assert.equal(await flushQueue(program, { env, uid: 0 }), undefined);
    assert.equal(await readFile(join(folder, 'asked'), 'utf8'), '-qff \n');
  });

  it('fails in the words of exim, or else with its status', async () => {
    await exim('echo "exim: permission denied" >&2; exit 1');
    const reason = await flushQueue(program, { env, uid: 0 });
    assert.equal(reason, 'exim: permission denied');
    assert.match(flushRemedy(reason), /sudo exim4 -qff.*prod_requires_admin = false/);
    await exim('exit 3');
    assert.equal(await flushQueue(program, { env, uid: 0 }), 'exit status 3');
    assert.match((await flushQueue(join(folder, 'none'), { env, uid: 0 })) ?? '', /ENOENT/);
  });

  it('is left alone when it takes long', async () => {
    await exim('exec sleep 2');
    assert.equal(await flushQueue(program, { env, uid: 0, patienceMs: 50 }), undefined);
  });

  it('is not asked for where exim could not gain its rights, and would say that all went well', async () => {
    await exim(`touch ${folder}/asked`);
    const statusFile = await kernelSays('Name:\tnode\nNoNewPrivs:\t1\nSeccomp:\t0\n');
    const reason = await flushQueue(program, { env, uid: 1000, statusFile });
    assert.match(reason ?? '', /NoNewPrivileges/);
    await assert.rejects(readFile(join(folder, 'asked')));
    assert.equal(await flushQueue(program, { env, uid: 0, statusFile }), undefined, 'root has the rights already');
    const free = await kernelSays('NoNewPrivs:\t0\n');
    assert.equal(await flushQueue(program, { env, uid: 1000, statusFile: free }), undefined);
    assert.equal(await flushQueue(program, { env, uid: 1000, statusFile: '/nonexistent' }), undefined);
  });
});
