import assert from 'node:assert/strict';
import { cp, mkdir, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CMS_PROGRAM } from '../support/environment.ts';
import { start } from '../support/processes.ts';
import { talk } from '../support/wire.ts';
import { startWorld } from '../support/world.ts';

const JANE = 'jane@example.org';

describe('a broker whose program is taken away', function () {
  this.timeout(30_000);

  it('goes on refreshing', async () => {
    await using world = await startWorld();
    assert.equal((await world.add(JANE)).status, 0);
    const root = dirname(dirname(CMS_PROGRAM));
    const copy = join(world.home.path, 'program');
    for (const part of ['bin', join('dist', 'program'), 'package.json', 'oclif.manifest.json'])
      await cp(join(root, part), join(copy, part), { recursive: true });
    await mkdir(join(copy, 'node_modules', '@napi-rs'), { recursive: true });
    for (const native of ['koffi', '@koromix', join('@napi-rs', 'keyring')])
      await symlink(join(root, 'node_modules', native), join(copy, 'node_modules', native));
    const broker = start(process.execPath, [join(copy, 'bin', 'run.js'), 'serve', '--log-level', 'debug'], {
      env: world.env,
    });
    try {
      await broker.waitFor(/listening socket=\S+cms\.sock/);
      await rm(copy, { recursive: true });
      const socket = join(world.home.runtimeDir, 'cms.sock');
      const before = await talk(socket, `SMTP,token ${JANE}`);
      const answer = JSON.parse(await talk(socket, `REFRESH ${JANE}`)) as Record<string, unknown>;
      assert.equal(answer.error, undefined, JSON.stringify(answer));
      const after = await talk(socket, `SMTP,token ${JANE}`);
      assert.ok(after !== '' && after !== before, broker.stderr);
      assert.doesNotMatch(broker.stderr, /Cannot find|ENOENT/);
    } finally {
      await broker.stop();
    }
  });
});
