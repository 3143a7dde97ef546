/** Words of providers and names of accounts reach programs of the user: as data, and in no other way. */
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leaks } from '../support/canary.ts';
import { runCms, spawnCms } from '../support/environment.ts';
import type { RunningProcess } from '../support/processes.ts';
import { faults } from '../support/provider.ts';
import { type Recorder, recorder } from '../support/recorder.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

/** A valid address; a shell would run the program `pwned`, which is on the PATH. */
const HOSTILE = "x|`pwned`&pwned'y!@example.org";
const JANE = 'jane@example.org';

describe('what a hook is given', function () {
  this.timeout(60_000);
  let world: World;
  let folder: string;
  let socket: string;
  let broker: RunningProcess | undefined;

  async function serve(hook: Recorder, more = ''): Promise<RunningProcess> {
    await world.home.writeConfig('config.toml', `[hooks]\nauthorization_required = ["${hook.program}"]\n${more}`);
    const env = { ...world.env, PATH: `${folder}:${process.env.PATH ?? ''}`, DBUS_SESSION_BUS_ADDRESS: 'unix:path=/x' };
    broker = spawnCms(['serve', '--log-level', 'trace'], { env });
    await broker.waitFor(/listening socket=\S+cms\.sock/);
    return broker;
  }

  before(async () => {
    world = await startWorld();
    socket = join(world.home.runtimeDir, 'cms.sock');
    folder = join(world.home.path, 'programs');
    await mkdir(folder, { mode: 0o700 });
    world.provider.setFault(undefined);
    assert.equal((await world.add(JANE)).status, 0);
  });
  afterEach(async () => {
    world.provider.setFault(undefined);
    await broker?.stop();
    broker = undefined;
  });
  after(() => world[Symbol.asyncDispose]());

  it('is never a command, whatever account and provider are called or say', async () => {
    const added = await runCms(['account', 'add', HOSTILE, ...world.serverFlags, '--no-test'], {
      env: { ...world.env, CMS_TEST_LOGIN: HOSTILE },
    });
    assert.equal(added.status, 0, added.stderr);
    const secrets = world.provider.issuedTokens;
    const description = `$(pwned)\r\n\`pwned\`;pwned\nCMS_EVENT=forged "' \\ \x1b]0;x\x07 <a href='x'>${secrets.at(-1) ?? ''}`;
    const pwned = await recorder(folder, 'pwned');
    const hook = await recorder(folder, 'hook');
    const notifySend = await recorder(folder, 'notify-send');
    const running = await serve(hook);
    world.provider.setFault(faults.tokenError('invalid_grant', description));
    await talk(socket, `REFRESH ${HOSTILE}`);

    const [call] = await hook.waitFor(1);
    assert.ok(call);
    assert.deepEqual(call.arguments, []);
    const { CMS_ADDRESS, CMS_EVENT, CMS_REASON = '' } = call.environment;
    assert.deepEqual([CMS_ADDRESS, CMS_EVENT], [HOSTILE, 'authorization_required']);
    assert.match(CMS_REASON, /\$\(pwned\)/, 'the words are there');
    const texts = [...Object.values(call.environment), ...((await notifySend.waitFor(1))[0]?.arguments ?? [])];
    for (const text of texts) assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f]/);
    assert.deepEqual(
      leaks(
        [...texts, running.stderr].map((text, at) => ({ name: String(at), text })),
        secrets,
      ),
      [],
    );

    await sleep(300);
    assert.deepEqual(await pwned.calls(), []);
  });

  it('holds no more of the environment than it needs', async () => {
    const hook = await recorder(folder, 'environment');
    await world.home.writeConfig('config.toml', `[hooks]\nauthorization_required = ["${hook.program}"]\n`);
    const env = { ...world.env, NODE_OPTIONS: '--no-deprecation', API_KEY: 'x', LD_LIBRARY_PATH: '/nowhere' };
    broker = spawnCms(['serve'], { env });
    await broker.waitFor(/listening/);
    world.provider.setFault(faults.tokenError('invalid_grant'));
    await talk(socket, `REFRESH ${JANE}`);
    const [call] = await hook.waitFor(1);
    const ours = /^(CMS_(EVENT|ADDRESS|PROVIDER|STATE|CODE|REASON|EXPLANATION|SINCE|REMEDY|MESSAGE|REMINDER))$/;
    const names = Object.keys(call?.environment ?? {}).filter((name) => !ours.test(name));
    // PWD, OLDPWD, SHLVL and _ are the shell's own.
    const usual = new Set(['PATH', 'HOME', 'LANG', 'CMS_CONFIG_DIR', 'CMS_STATE_DIR', 'CMS_RUNTIME_DIR', 'PWD', '_']);
    assert.deepEqual(
      names.filter((name) => !usual.has(name) && name !== 'OLDPWD' && name !== 'SHLVL'),
      [],
    );
    world.provider.setFault(undefined);
    assert.equal((await world.add(JANE)).status, 0);
  });

  it('ends in time: one that hangs is killed with its children, and keeps nobody waiting', async () => {
    const hook = await recorder(folder, 'hang', `trap '' TERM; sleep 600 & echo $! > '${join(folder, 'pid')}'; wait`);
    const running = await serve(hook, 'timeout = 5\n');
    world.provider.setFault(faults.tokenError('invalid_grant'));
    await talk(socket, `REFRESH ${JANE}`);
    await hook.waitFor(1);
    for (let count = 0; count < 20; count++) assert.match(await talk(socket, `SMTP ${JANE}`), /^user=jane@/);
    assert.doesNotMatch(running.stdout + running.stderr, /a hook failed/, 'served meanwhile');
    await running.waitFor(/a hook failed .*reason="killed after 5 s"/);
    const pid = (await readFile(join(folder, 'pid'), 'utf8')).trim();
    await sleep(100);
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
    assert.ok(stat.includes(') Z'), 'its child is gone as well');
    world.provider.setFault(undefined);
    assert.equal((await world.add(JANE)).status, 0);
  });

  it('is nothing where somebody else could exchange the program', async () => {
    const hook = await recorder(folder, 'open');
    await chmod(hook.program, 0o722);
    const running = await serve(hook);
    assert.match(running.stderr, /error the hook \S+open is not run: others may write to/);
    world.provider.setFault(faults.tokenError('invalid_grant'));
    await talk(socket, `REFRESH ${JANE}`);
    await running.waitFor(/the account needs attention/);
    await sleep(500);
    assert.deepEqual(await hook.calls(), []);
  });
});
