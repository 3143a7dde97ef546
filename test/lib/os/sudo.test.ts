import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bySudo } from '../../../src/lib/os/sudo.ts';
import { requires } from '../../support/requirements.ts';

const DOCTOR = 'cms doctor';
const WITH_PATH = 'sudo env "PATH=$PATH" cms doctor';

describe('a command for root', () => {
  let folder: string;
  let [secure, home, script] = ['', '', ''];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cms-sudo-'));
    [secure, home, script] = [join(folder, 'secure'), join(folder, 'home'), join(folder, 'run.js')];
    await Promise.all([mkdir(secure), mkdir(home)]);
    await writeFile(script, '#!/usr/bin/env node\nconsole.log("found");\n', { mode: 0o755 });
    await symlink(script, join(home, 'cms'));
    await symlink(process.execPath, join(home, 'node'));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  beforeEach(async () => {
    await symlink(script, join(secure, 'cms'));
    await symlink(process.execPath, join(secure, 'node'));
  });

  afterEach(() => Promise.all(['cms', 'node'].map((name) => rm(join(secure, name), { force: true }))));

  const printed = (): string => bySudo(DOCTOR, join(home, 'cms'), ['/nowhere', secure]);

  it('is short where sudo finds this program and node', () => {
    assert.equal(printed(), 'sudo cms doctor');
  });

  for (const name of ['cms', 'node']) {
    it(`takes the caller's PATH along where sudo does not find ${name}`, async () => {
      await rm(join(secure, name));
      assert.equal(printed(), WITH_PATH);
    });
  }

  it('is not misled by another program of that name, or a node that cannot be run', async () => {
    await rm(join(secure, 'cms'));
    await writeFile(join(secure, 'cms'), '#!/bin/sh\n', { mode: 0o755 });
    assert.equal(printed(), WITH_PATH);
    await rm(join(secure, 'cms'));
    await symlink(script, join(secure, 'cms'));
    await rm(join(secure, 'node'));
    await writeFile(join(secure, 'node'), '');
    await chmod(join(secure, 'node'), 0o644);
    assert.equal(printed(), WITH_PATH);
  });

  it('finds the program as it is printed', function () {
    requires(this, 'sudo');
    const env = { PATH: `${home}:/usr/bin:/bin` };
    const { stdout } = spawnSync('sh', ['-c', WITH_PATH], { env, encoding: 'utf8' });
    assert.equal(stdout, 'found\n');
    assert.notEqual(spawnSync('sh', ['-c', 'sudo cms doctor'], { env, encoding: 'utf8' }).stdout, 'found\n');
  });
});
