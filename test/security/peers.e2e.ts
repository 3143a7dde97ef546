/** Whom the clients of the broker believe: the kernel says who listens, whatever the path looks like. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, notifyBroker } from '../../src/lib/broker/client.ts';
import { tellBroker } from '../../src/lib/account-test/tell-broker.ts';
import { runCms, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { run, type RunningProcess } from '../support/processes.ts';
import { asRoot, requires } from '../support/requirements.ts';
import { OTHER_USER, asOther, startAsOther } from './second-user.ts';

const JANE = 'jane@example.org';
const LISTENER = `
  const answer = JSON.stringify({ access_token: 'evil', token_type: 'Bearer', expires_at: 9999999999, user: '${JANE}',
    reloaded: true, version: 1, broker: { pid: 1 }, sockets: [], accounts: [] });
  require('node:net').createServer({ allowHalfOpen: true }, (peer) => peer.on('error', () => 0).resume().end(answer))
    .listen({ path: process.argv[1], writableAll: true }, () => console.log('listening'));`;

describe('a client of the broker, in front of another user', function () {
  this.timeout(60_000);
  requires(this, 'sudo');
  let home: TemporaryHome;
  let theirs: string;
  let foreign: RunningProcess;
  let socket: string;

  beforeEach(async () => {
    home = await temporaryHome();
    mkdirSync(home.runtimeDir, { mode: 0o700 });
    theirs = mkdtempSync(join(tmpdir(), 'theirs-'));
    await root('chown', OTHER_USER, theirs);
    await root('chmod', '0755', theirs);
    foreign = startAsOther([process.execPath, '-e', LISTENER, join(theirs, 'cms.sock')]);
    await foreign.waitFor(/listening/);
    socket = join(home.runtimeDir, 'cms.sock');
  });
  afterEach(async () => {
    await foreign.stop();
    await root('rm', '-rf', theirs);
    await home.remove();
  });

  async function root(...argv: string[]): Promise<void> {
    const [command = '', ...args] = asRoot(argv);
    const { status, stderr } = await run(command, args);
    assert.equal(status, 0, stderr);
  }

  async function isBelievedByNone(path: string): Promise<void> {
    const env = { ...home.env, CMS_SOCKET: path };
    for (const argv of [
      ['token', JANE],
      ['token', JANE, '-o', 'password'],
      ['token', JANE, '--force-refresh'],
      ['status'],
    ]) {
      const { status, stdout, stderr } = await runCms(argv, { env });
      assert.deepEqual([status, stdout], [69, ''], `${argv.join(' ')}: ${stderr}`);
      assert.match(stderr, /belongs to uid \d+, so its answer is not trusted/);
    }
    assert.equal(await notifyBroker(path), false);
    await assert.rejects(tellBroker(path, JANE), { code: 'broker_unavailable' });
    await assert.rejects(ask(path, { kind: 'reload' }), { code: 'broker_unavailable' });
  }

  it('does not believe one whose socket is in a folder that is nobody else’s', async () => {
    await root('mv', join(theirs, 'cms.sock'), socket);
    await isBelievedByNone(socket);
    // Nor does the owner of the file say who listens.
    await root('chown', String(process.getuid?.()), socket);
    await isBelievedByNone(socket);
  });

  it('does not believe one that its own folder leads to', async () => {
    rmSync(home.runtimeDir, { recursive: true });
    await root('ln', '-s', theirs, home.runtimeDir);
    await isBelievedByNone(socket);
  });

  it('gives its token by the word of none but its own user, while the sockets change places', async () => {
    // The folder of the victim is in one of the attacker's, who exchanges the whole folder as fast as he can.
    const [mine, place] = [join(theirs, 'mine'), join(theirs, 'place')];
    await root('install', '-d', '-m', '0700', '-o', String(process.getuid?.()), mine);
    await root('install', '-d', '-m', '0755', '-o', OTHER_USER, join(theirs, 'evil'));
    await root('ln', join(theirs, 'cms.sock'), join(theirs, 'evil', 'cms.sock'));
    const swap = `while :; do mv -T ${mine} ${place}; mv -T ${place} ${mine}; ln -sfn evil ${place}; rm ${place}; done`;
    await using swapper = startAsOther(['sh', '-c', swap]);
    for (let round = 0; round < 12; round++) {
      for (const folder of [mine, place]) {
        const { stdout } = await runCms(['token', JANE], { env: { ...home.env, CMS_RUNTIME_DIR: folder } });
        assert.ok(!stdout.includes('evil'), stdout);
      }
    }
    assert.ok(swapper.running);
  });

  it('is asked, not by the script that cannot tell, where the way leads through folders of another user', async () => {
    const mine = join(theirs, 'cms');
    await root('install', '-d', '-m', '0700', '-o', String(process.getuid?.()), mine);
    await root('mv', join(theirs, 'cms.sock'), join(mine, 'cms.sock'));
    await root('chown', String(process.getuid?.()), join(mine, 'cms.sock'));
    const env = { ...home.env, XDG_RUNTIME_DIR: theirs, CMS_RUNTIME_DIR: undefined };
    const { stdout } = await run('sh', ['bin/cms-token', JANE], { env });
    assert.ok(!stdout.includes('evil'), stdout);
    assert.equal((await asOther(['true'])).status, 0);
  });

  it('is asked as root, too, where a folder of root’s is in one of another user', async () => {
    const folder = join(theirs, 'cms');
    await root('install', '-d', '-m', '0700', '-o', 'root', folder);
    await root('mv', join(theirs, 'cms.sock'), join(folder, 'cms.sock'));
    await root('chown', 'root', join(folder, 'cms.sock'));
    const [command = '', ...args] = asRoot(['env', `CMS_SOCKET=${folder}/cms.sock`, 'sh', 'bin/cms-token', JANE]);
    const { stdout } = await run(command, args);
    assert.ok(!stdout.includes('evil'), stdout);
  });
});
