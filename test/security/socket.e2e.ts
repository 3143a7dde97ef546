/** Who gets at the broker's sockets: the kernel is asked, by a user who really is another one. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { spawnCms } from '../support/environment.ts';
import { type RunningProcess, start } from '../support/processes.ts';
import { requires } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';
import { asOther, OTHER_USER } from './second-user.ts';

const JANE = 'jane@example.org';
const BOB = 'bob@example.org';
const PAT = 'pat@example.org';

describe('the sockets of the broker', function () {
  this.timeout(30_000);
  let world: World;

  before(async () => {
    world = await startWorld();
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    assert.equal((await world.add(BOB, '--no-test')).status, 0);
    const password = await world.home.writeConfig('password', 'abcd efgh ijkl mnop\n');
    const server = ['--smtp-host', 'localhost', '--imap-host', 'localhost'];
    const adding = await world.cms('account', 'add', PAT, '--password-file', password, '--no-test', ...server);
    assert.equal(adding.status, 0, adding.stderr);
  });
  after(() => world[Symbol.asyncDispose]());

  async function serve(...argv: string[]): Promise<RunningProcess> {
    const broker = spawnCms(['serve', ...argv], { env: world.env });
    await broker.waitFor(/listening socket=\S+cms\.sock/);
    return broker;
  }

  // Row 11.
  it('are at no moment open to anybody else, whatever the umask', async () => {
    const { runtimeDir, path } = world.home;
    const shared = join(path, 'shared.sock');
    await using watcher = start(process.execPath, ['-e', WATCHER, runtimeDir, path]);
    await watcher.waitFor(/watching/);
    for (let round = 0; round < 3; round++) {
      const program = 'umask 000; exec "$0" "$@"';
      const argv = ['-c', program, process.execPath, 'bin/run.js', 'serve', '--socket', shared, '--mode', '0660'];
      await using broker = start('sh', argv, { env: world.env });
      await broker.waitFor(/listening socket=\S+shared\.sock/);
      assert.match(await talk(join(runtimeDir, 'cms.sock'), `SMTP ${JANE}`), /^user=jane/);
      await broker.stop();
    }
    watcher.write('end\n');
    const [, json = ''] = await watcher.waitFor(/seen (.*)\n/);
    const seen = JSON.parse(json) as { looks: number; modes: Record<string, string[]> };
    assert.ok(seen.looks > 10_000, `only ${seen.looks} looks`);
    assert.deepEqual(seen.modes['cms.sock'], ['600']);
    assert.deepEqual(seen.modes['shared.sock'], ['660']);
    assert.deepEqual(seen.modes.folder, ['700']);
    // Bound under another name, and renamed.
    for (const mode of seen.modes.hidden ?? []) assert.ok(mode === '600' || mode === '660', mode);
  });

  // Row 12.
  it('give another user what they were told to, and not one byte more', async function () {
    requires(this, 'sudo', 'socat');
    const folder = join(world.home.path, 'granted');
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    chmodSync(world.home.path, 0o755);
    const socket = join(folder, 'mta.sock');
    const rules = ['--account', JANE, '--account', PAT, '--protocol', 'smtp', '--allow-user', OTHER_USER];
    const broker = await serve('--socket', socket, '--mode', '0660', ...rules);
    try {
      await broker.waitFor(/listening socket=\S+mta\.sock/);
      // The mode is what the administrator's group would give; the broker's own checks are what is looked at here.
      chmodSync(socket, 0o666);
      const ask = async (line: string): Promise<string> =>
        (await asOther(['socat', '-t5', '-', `UNIX-CONNECT:${socket}`], { input: `${line}\n` })).stdout;
      assert.match(await ask(`SMTP ${JANE}`), /^user=jane@example\.org\x01auth=Bearer \S+\x01\x01$/);
      const refused = [
        `SMTP ${BOB}`,
        `SMTP,token ${BOB}`,
        `IMAP ${JANE}`,
        `POP ${JANE}`,
        `SMTP,password ${JANE}`,
        `SMTP,password ${PAT}`,
        `SMTP ${PAT}`,
        'STATUS',
        'RELOAD',
        `REFRESH ${JANE}`,
        `SMTP ${JANE} ${BOB}`,
      ];
      const answers = await Promise.all(refused.map(ask));
      assert.deepEqual(
        answers,
        refused.map(() => ''),
      );
      const said = JSON.parse(await ask(`SMTP,json ${BOB}`)) as Record<string, unknown>;
      assert.deepEqual([said.error, said.access_token], ['access_denied', undefined]);
      const { stdout } = await world.cms('status', '--log', '--json', '--lines', '100');
      const lines = JSON.parse(stdout) as { result: string; user?: string; account?: string }[];
      assert.ok(
        lines.some((line) => line.user === OTHER_USER && line.account === BOB && line.result === 'access_denied'),
      );
    } finally {
      await broker.stop();
      chmodSync(world.home.path, 0o700);
    }
  });
});

/** Looks at every socket of the folders as fast as it can, and at the first folder itself. */
const WATCHER = `
  const fs = require('node:fs'), path = require('node:path');
  const folders = process.argv.slice(1), modes = {};
  let looks = 0, running = true;
  const note = (name, mode) => (modes[name] ??= new Set()).add((mode & 0o777).toString(8));
  const look = (folder, first) => {
    try {
      if (first) note('folder', fs.lstatSync(folder).mode);
      for (const name of fs.readdirSync(folder)) {
        const stat = fs.lstatSync(path.join(folder, name));
        looks++;
        if (stat.isSocket()) note(name.startsWith('.') ? 'hidden' : name, stat.mode);
      }
    } catch {}
  };
  process.stdin.on('data', () => { running = false; });
  process.stdout.write('watching\\n');
  (function round() {
    for (let i = 0; i < 50; i++) folders.forEach((folder, index) => look(folder, index === 0));
    if (running) return setImmediate(round);
    const seen = Object.fromEntries(Object.entries(modes).map(([name, set]) => [name, [...set].sort()]));
    process.stdout.write('seen ' + JSON.stringify({ looks, modes: seen }) + '\\n');
  })();
`;
