import assert from 'node:assert/strict';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnCms } from '../support/environment.ts';
import type { RunningProcess } from '../support/processes.ts';
import { type Recorder, recorder } from '../support/recorder.ts';
import { isPresent } from '../support/requirements.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const BOB = 'bob@example.org';

describe('an account that needs somebody', function () {
  this.timeout(60_000);
  let world: World;
  let socket: string;
  let broker: RunningProcess | undefined;
  let hook: Recorder;
  let notifySend: Recorder;
  let env: World['env'];

  async function serve(config: string, more: World['env'] = {}): Promise<RunningProcess> {
    await world.home.writeConfig('config.toml', config);
    broker = spawnCms(['serve', '--log-level', 'debug'], { env: { ...env, ...more } });
    await broker.waitFor(/listening socket=\S+cms\.sock/);
    return broker;
  }

  /** As a provider does on which the person has withdrawn the consent. */
  async function revoke(address: string): Promise<void> {
    world.provider.revokeGrants(address);
    const answer = JSON.parse(await talk(socket, `REFRESH ${address}`)) as { error?: string };
    assert.equal(answer.error, 'authorization_required');
  }

  const hooks = (...names: string[]): string =>
    `[hooks]\n${names.map((name) => `${name} = ["${hook.program}", "one", "two words"]\n`).join('')}`;
  const all = (): string => hooks('authorization_required', 'degraded', 'recovered');

  before(async () => {
    world = await startWorld();
    socket = join(world.home.runtimeDir, 'cms.sock');
    assert.equal((await world.add(BOB)).status, 0);
  });
  beforeEach(async function () {
    const folder = join(world.home.path, `programs-${Date.now()}`);
    await mkdir(folder, { mode: 0o700 });
    hook = await recorder(folder, 'hook');
    notifySend = await recorder(folder, 'notify-send');
    env = { ...world.env, PATH: `${folder}:${process.env.PATH ?? ''}`, SECRET_OF_MINE: 'x' };
    assert.equal((await world.add(JANE)).status, 0);
  });
  afterEach(async () => {
    await broker?.stop();
    broker = undefined;
    await rm(join(world.home.stateDir, 'outages.json'), { force: true });
  });
  after(() => world[Symbol.asyncDispose]());

  it('is told to a hook once, however many ask; so is its recovery', async () => {
    const running = await serve(all());
    await running.waitFor(/hook is on event=recovered/);
    await revoke(JANE);
    const [call] = await hook.waitFor(1);
    assert.ok(call);
    assert.deepEqual(call.arguments, ['one', 'two words']);
    const { CMS_SINCE: since = '', CMS_REASON: reason = '', ...told } = call.environment;
    assert.ok(Math.abs(Date.parse(since) - Date.now()) < 10_000);
    assert.match(reason, /invalid_grant/);
    assert.deepEqual(
      Object.fromEntries(
        ['EVENT', 'ADDRESS', 'PROVIDER', 'STATE', 'CODE', 'REMEDY', 'REMINDER', 'MESSAGE'].map((name) => [
          name,
          told[`CMS_${name}`],
        ]),
      ),
      {
        EVENT: 'authorization_required',
        ADDRESS: JANE,
        PROVIDER: 'custom',
        STATE: 'authorization_required',
        CODE: 'authorization_required',
        REMEDY: `cms account add ${JANE}`,
        REMINDER: '0',
        MESSAGE: `${JANE}: a sign-in is needed`,
      },
    );
    assert.equal(told.SECRET_OF_MINE, undefined, 'nothing else of the environment');
    assert.match(
      running.stderr,
      /error the account needs attention account=jane@example\.org code=authorization_required reason=\S.*remedy="cms account add jane@example\.org/,
    );

    await Promise.all(Array.from({ length: 20 }, () => talk(socket, `SMTP,minvalid=3500 ${JANE}`)));
    await talk(socket, `REFRESH ${JANE}`);
    await sleep(1500);
    assert.equal((await hook.calls()).length, 1);

    assert.equal((await world.add(JANE)).status, 0);
    const [, recovered] = await hook.waitFor(2);
    assert.equal(recovered?.environment.CMS_EVENT, 'recovered');
    assert.equal(recovered.environment.CMS_STATE, 'ok');
    await sleep(1000);
    assert.equal((await hook.calls()).length, 2);
  });

  it('is told again at each interval, and by a new broker neither anew nor not at all', async () => {
    await serve(all());
    await revoke(JANE);
    await hook.waitFor(1);
    await broker?.stop();
    const file = join(world.home.stateDir, 'outages.json');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.match(await readFile(file, 'utf8'), /jane@example\.org/);
    await serve(all());
    await sleep(1500);
    assert.equal((await hook.calls()).length, 1, 'not anew');
    await broker?.stop();
    await serve(`${all()}[notify]\nreminder = "2s"\n`);
    const calls = await hook.waitFor(3);
    assert.deepEqual(
      calls.map(({ environment }) => environment.CMS_REMINDER),
      ['0', '1', '1'],
    );
    await broker?.stop();
    assert.equal((await world.add(JANE)).status, 0);
    await serve(all());
    await sleep(500);
    assert.equal((await hook.calls()).at(-1)?.environment.CMS_EVENT, 'recovered', 'while no broker ran');
  });

  it('is shown on the desktop where there is one, unless that is not wanted', async () => {
    await serve('', { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent' });
    await revoke(JANE);
    const [call] = await notifySend.waitFor(1);
    const words = call?.arguments ?? [];
    assert.deepEqual(words.slice(-3, -1), ['--', `${JANE}: a sign-in is needed`]);
    assert.match(words.at(-1) ?? '', /\nto do: cms account add jane@example\.org$/);
    assert.equal(call?.environment.DBUS_SESSION_BUS_ADDRESS, 'unix:path=/nonexistent');
    assert.equal((await world.add(JANE)).status, 0);
    await notifySend.waitFor(2);
    await broker?.stop();

    const quiet = await serve('[notify]\ndesktop = false\n', { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nonexistent' });
    await revoke(JANE);
    await quiet.waitFor(/the account needs attention/);
    await sleep(500);
    assert.equal((await notifySend.calls()).length, 2);
  });

  it('is told by a mail that another account sends', async () => {
    const running = await serve('[notify]\nmail = true\nmail_to = "me@example.net"\n');
    const before = world.submission.messages.length;
    await revoke(JANE);
    const message = (await world.submission.waitForMessages(before + 1)).at(-1);
    assert.equal(message?.user, BOB);
    assert.deepEqual([message.from, message.to], [BOB, ['me@example.net']]);
    assert.equal(message.headers.get('subject'), `cms: ${JANE}: a sign-in is needed`);
    assert.equal(message.headers.get('auto-submitted'), 'auto-generated');
    assert.match(Buffer.from(message.body, 'base64').toString(), /to do: cms account add jane@example\.org\r\n/);
    await running.waitFor(
      /a mail about it was sent account=jane@example\.org from=bob@example\.org to=me@example\.net/,
    );
  });

  it('is not told by an account that is none, which is said at start', async () => {
    const running = await serve('[notify]\nmail = "nobody@example.org"\n');
    await running.waitFor(/warn +\[notify\] of config\.toml: no mail will be sent reason="there is no account nobody@/);
  });

  it('is not told by an account that needs somebody itself', async () => {
    const running = await serve(`[notify]\nmail = "${JANE}"\n`);
    const before = world.submission.messages.length;
    await revoke(JANE);
    await running.waitFor(/the mail about it was not sent account=jane@example\.org reason="no account that may/);
    assert.equal(world.submission.messages.length, before);
  });

  it('has mail in the queue, which exim tries again once it works', async function () {
    const running = await serve('[notify]\nflush_queue = true\n');
    await revoke(JANE);
    await running.waitFor(/the account needs attention/);
    assert.equal((await world.add(JANE)).status, 0);
    // Whether exim lets this user is up to the machine; that it was asked, and what it said, is not.
    await running.waitFor(
      isPresent('exim4')
        ? /exim was told to try its queue again command="\S+ -qff"|not told to try its queue again reason=.*remedy="sudo exim4 -qff/
        : /exim was not told to try its queue again reason="exim4 is not installed"/,
    );
  });

  it('does not depend on its hooks: one that is gone, unsafe or fails is said and changes nothing', async () => {
    const failing = await recorder(world.home.path, 'failing-hook', 'echo "what it said" >&2; exit 3');
    const running = await serve(
      `[hooks]\nauthorization_required = ["${failing.program}"]\nrecovered = ["/no/such/program"]\n`,
    );
    assert.match(running.stderr, /error the hook \/no\/such\/program is not run: it is not there/);
    await revoke(JANE);
    await running.waitFor(/a hook failed event=authorization_required \S+ \S+ reason="exit status 3"/);
    await running.waitFor(/debug a hook said .*output="what it said"/);
    assert.match(await talk(socket, `SMTP ${BOB}`), /^user=bob@/);
    assert.equal((await world.add(JANE)).status, 0);
    assert.match(await talk(socket, `SMTP ${JANE}`), /^user=jane@/);
  });

  it('is told to the hooks of a configuration that was just reloaded', async () => {
    const running = await serve('');
    assert.match(await talk(socket, `SMTP ${JANE}`), /^user=jane@/);
    // Until the broker has looked at it once: what a start finds is no news.
    await sleep(500);
    await world.home.writeConfig('config.toml', hooks('authorization_required', 'refreshed'));
    running.kill('SIGHUP');
    await running.waitFor(/reloaded/);
    await talk(socket, `REFRESH ${JANE}`);
    const [call] = await hook.waitFor(1);
    assert.equal(call?.environment.CMS_EVENT, 'refreshed');
    await world.home.writeConfig('config.toml', '[hooks]\nrefresht = ["/bin/true"]\n');
    running.kill('SIGHUP');
    await running.waitFor(/not reloaded; everything stays as it was reason=.*\[hooks\]: unknown key refresht/);
    await revoke(JANE);
    assert.equal((await hook.waitFor(2))[1]?.environment.CMS_EVENT, 'authorization_required');
  });
});
