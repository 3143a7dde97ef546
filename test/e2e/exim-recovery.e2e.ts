/**
 * Mail that has waited in exim's queue for a sign-in. Everything but root's part runs as an ordinary user in the
 * namespace of the private exim: the broker, the sign-in, and the queue run that the broker asks for.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openContext } from '../../src/lib/context.ts';
import { planExim } from '../../src/lib/exim/install/plan.ts';
import { CMS_PROGRAM } from '../support/environment.ts';
import { EXIM, PERSON, PrivateExim, requireExim, runAsRoot } from '../support/exim.ts';
import { type Finished, run, type RunningProcess, start } from '../support/processes.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
/** Long enough for a sign-in and the delivery after it. */
const TOKEN_LIFE_SECONDS = 4;
const MAIL = `From: ${JANE}\nTo: x@elsewhere.example\nSubject: has waited\n\nbody\n`;

describe('mail that waits in exim for a sign-in', function () {
  this.timeout(60_000);
  let world: World;
  let exim: PrivateExim;
  let broker: RunningProcess | undefined;

  /** `cms` as the person calls it, beside the private exim. */
  function command(argv: readonly string[], setpriv: readonly string[] = []): [string, string[]] {
    const env: World['env'] = { ...world.env, CMS_TEST_LOGIN: JANE };
    const variables = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
    const program = ['env', '-i', ...variables, ...setpriv, process.execPath, CMS_PROGRAM, ...argv];
    const [file = '', ...args] = exim.commandLine(program, PERSON);
    return [file, args];
  }

  async function signIn(): Promise<void> {
    const { status, stderr }: Finished = await run(...command(['account', 'add', JANE, ...world.serverFlags]));
    assert.equal(status, 0, stderr);
  }

  async function serve(config: string, setpriv: readonly string[] = []): Promise<RunningProcess> {
    await world.home.writeConfig('config.toml', config);
    await runAsRoot(['chown', '-R', PERSON, world.home.path]);
    const flags = ['--socket', exim.socket, '--mode', '0660', '--group', 'Debian-exim', '--protocol', 'smtp'];
    broker = start(...command(['serve', ...flags], setpriv));
    await broker.waitFor(/listening.*exim\.sock/);
    return broker;
  }

  async function installFiles(change: (config: string) => string = (config) => config): Promise<void> {
    const accounts = await openContext(world.home.env).accounts.list();
    const { caFile } = world.submission;
    const about = { user: PERSON, hostName: 'laptop', accounts, installed: undefined };
    const { config, block } = planExim({ socket: exim.socket, caFile }, about);
    await exim.install('exim4.conf', change(config), '0644');
    await exim.install('exim-smart-hosts', block, '0640');
  }

  async function revoke(running: RunningProcess): Promise<void> {
    world.provider.revokeGrants(JANE);
    await talk(join(world.home.runtimeDir, 'cms.sock'), `REFRESH ${JANE}`);
    await running.waitFor(/the account needs attention/);
  }

  /** The grant is revoked and its token has expired, and a message is deferred because of it. */
  async function waitingMail(running: RunningProcess): Promise<void> {
    await revoke(running);
    while ((await talk(exim.socket, `SMTP ${JANE}`)) !== '') await sleep(200);
    await exim.submit(['-f', JANE, 'x@elsewhere.example'], MAIL);
    assert.match(await exim.log(), /R=cms_ready defer.*authorization required.*cms account add jane@/);
    assert.equal(await exim.queueSize(), 1);
  }

  async function queueIsEmpty(within: number): Promise<boolean> {
    const deadline = Date.now() + within;
    while (Date.now() < deadline) {
      if ((await exim.queueSize()) === 0) return true;
      await sleep(200);
    }
    return false;
  }

  before(async function () {
    requireExim(this);
    [world, exim] = await Promise.all([startWorld({ accessTokenTtl: TOKEN_LIFE_SECONDS }), PrivateExim.start()]);
    await runAsRoot(['chown', '-R', PERSON, world.home.path]);
    await runAsRoot(['chown', PERSON, join(exim.folder, 'run')]);
    // It would take away the bit that hands down the folder's group.
    await runAsRoot(['chmod', '2750', join(exim.folder, 'run')]);
  });
  beforeEach(async () => {
    await signIn();
    await installFiles();
    world.submission.messages.length = 0;
  });
  afterEach(async () => {
    await broker?.stop();
    broker = undefined;
    await exim.emptyQueue();
    await exim.clearLog();
    await runAsRoot(['rm', '-f', join(world.home.stateDir, 'outages.json')]);
  });
  after(async () => {
    await Promise.all([world[Symbol.asyncDispose](), exim[Symbol.asyncDispose]()]);
  });

  it('leaves as soon as the person has signed in again, long before exim would try again', async () => {
    const running = await serve('[notify]\nflush_queue = true\n');
    await waitingMail(running);
    await signIn();
    const [message] = await world.submission.waitForMessages(1);
    assert.deepEqual([message?.user, message?.from, message?.to], [JANE, JANE, ['x@elsewhere.example']]);
    assert.equal(message?.headers.get('subject'), 'has waited');
    await running.waitFor(/the account works again/);
    await running.waitFor(/exim was told to try its queue again command="\/usr\/sbin\/exim4 -qff"/);
    assert.ok(await queueIsEmpty(5000));
  });

  it('leaves also where the server refused the login for now', async () => {
    const running = await serve('[notify]\nflush_queue = true\n');
    world.submission.refuse(JANE, '454 4.7.0 Temporary authentication failure');
    await exim.submit(['-f', JANE, 'x@elsewhere.example'], MAIL);
    world.submission.refuse(JANE, undefined);
    assert.equal(await exim.queueSize(), 1);
    await revoke(running);
    await signIn();
    assert.equal((await world.submission.waitForMessages(1)).length, 1);
    assert.ok(await queueIsEmpty(5000));
  });

  it('waits for the next queue run where that is not wanted', async () => {
    const running = await serve('[notify]\nflush_queue = false\n');
    await waitingMail(running);
    await signIn();
    await running.waitFor(/the account works again/);
    await sleep(1500);
    assert.doesNotMatch(await exim.log(), /queue run/);
    assert.equal(await exim.queueSize(), 1);
  });

  it('waits where exim does not let the user, and the log says what lets him', async () => {
    await installFiles((config) => config.replace(/^prod_requires_admin = false$/m, ''));
    const running = await serve('[notify]\nflush_queue = true\n');
    await waitingMail(running);
    await signIn();
    await running.waitFor(/not told to try its queue again reason="exim: permission denied" remedy="sudo exim4 -qff/);
    assert.equal(await exim.queueSize(), 1);
    assert.equal((await exim.asRoot([EXIM, '-qff'])).status, 0);
    assert.equal(await exim.queueSize(), 0);
  });

  it('waits also where the broker may gain no rights, as exim needs those of its own user', async () => {
    const running = await serve('[notify]\nflush_queue = true\n', ['setpriv', '--no-new-privs']);
    await waitingMail(running);
    await signIn();
    await running.waitFor(/not told to try its queue again reason=.*NoNewPrivileges.*remedy="sudo exim4 -qff/);
    assert.equal(await exim.queueSize(), 1);
  });
});
