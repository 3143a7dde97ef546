/** `cms service` with a systemctl that only writes down what it is told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CMS_PROGRAM, runCms, spawnCms, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { type Finished, run } from '../support/processes.ts';
import { asRoot, requiresRoot } from '../support/requirements.ts';
import { recordingSystemctl } from '../support/systemctl.ts';

/** For root, somebody else runs the service of a user. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

describe('cms service', function () {
  this.timeout(30_000);
  let home: TemporaryHome;
  let units: string;
  let log: string;
  let pidFile: string;
  let told: () => string[];
  let env: Record<string, string | undefined>;

  const cms = (...argv: string[]): Promise<Finished> => runCms(['service', ...argv], { env, cwd: '/', ...NOBODY });
  const commands = (): string[] => told().filter((line) => !line.includes(' show'));

  beforeEach(async () => {
    home = await temporaryHome();
    const systemctl = recordingSystemctl(home.path);
    const { tools } = systemctl;
    ({ log, pidFile, told } = systemctl);
    for (const folder of [home.configDir, home.stateDir, home.runtimeDir]) mkdirSync(folder, { mode: 0o700 });
    if (NOBODY.uid !== undefined) {
      const folders = [home.path, home.home, tools, home.configDir, home.stateDir, home.runtimeDir];
      for (const path of folders) chownSync(path, NOBODY.uid, NOBODY.gid);
    }
    env = {
      ...home.env,
      PATH: `${tools}:${process.env.PATH ?? ''}`,
      XDG_CONFIG_HOME: join(home.home, 'xdg'),
      DISPLAY: ':0',
    };
    units = join(home.home, 'xdg', 'systemd', 'user');
  });
  afterEach(() => home.remove());

  it('shows what it would do, and does nothing without a yes', async () => {
    for (const flags of [['--dry-run'], ['--print', '--yes'], [], ['--json']]) {
      const { status, stdout } = await cms('install', ...flags);
      assert.equal(status, 0);
      assert.match(stdout, /ExecStart=/);
      assert.match(stdout, /systemctl/);
      assert.ok(!existsSync(units));
    }
    assert.deepEqual(commands(), []);
    const plan = JSON.parse((await cms('install', '--json')).stdout) as { files: object[]; commands: string[][] };
    assert.deepEqual([plan.files.length, plan.commands.length], [2, 2]);
  });

  it('writes the units, tells systemd, and changes nothing the second time', async () => {
    const first = await cms('install', '--yes', '--now', '--json');
    assert.equal(first.status, 0, first.stderr);
    assert.deepEqual(readdirSync(units).sort(), ['cms.service', 'cms.socket']);
    const text = readFileSync(join(units, 'cms.service'), 'utf8');
    assert.ok(text.includes(`ExecStart=${process.execPath} ${CMS_PROGRAM} serve`), text);
    assert.ok(text.includes(`"CMS_STATE_DIR=${home.stateDir}"`));
    assert.ok(readFileSync(join(units, 'cms.socket'), 'utf8').includes(`ListenStream=${home.runtimeDir}/cms.sock`));
    assert.deepEqual(commands(), [
      'systemctl --user daemon-reload',
      'systemctl --user enable cms.service cms.socket',
      'systemctl --user restart cms.service cms.socket',
    ]);
    assert.equal((JSON.parse(first.stdout) as { written: string[] }).written.length, 2);
    const second = await cms('install', '--yes', '--json');
    assert.deepEqual((JSON.parse(second.stdout) as { written: string[] }).written, []);
    const status = await cms('status');
    assert.equal(status.status, 0);
    assert.match(status.stdout, /^installed {2}yes\nenabled {4}yes\nactive {5}yes\n.*\nsays {7}1 account\n/m);
    assert.doesNotMatch(status.stdout, /stale/);
  });

  it('explains lingering where it may not switch it on', async () => {
    delete env.DISPLAY;
    const { status, stderr } = await cms('install', '--yes');
    assert.equal(status, 0, 'the service is installed all the same');
    assert.ok(commands().some((line) => line.startsWith('loginctl enable-linger ')));
    assert.match(stderr, /Access denied; try: sudo loginctl enable-linger/);
    rmSync(log);
    await cms('install', '--yes', '--no-linger');
    assert.ok(!commands().some((line) => line.startsWith('loginctl')));
  });

  it('says what is stale', async () => {
    await cms('install', '--yes');
    const file = join(units, 'cms.service');
    writeFileSync(file, readFileSync(file, 'utf8').replace(process.execPath, '/gone/bin/node'));
    rmSync(join(units, 'cms.socket'));
    const { stdout } = await cms('status');
    assert.match(stdout, /^stale +the unit starts \/gone\/bin\/node, which is gone$/m);
    assert.match(stdout, /^stale +cms\.service is not what would be written now$/m);
    assert.match(stdout, /^stale +cms\.socket is missing$/m);
    assert.match(stdout, /^fix it with: cms service install --now$/m);
    const { stale } = JSON.parse((await cms('status', '--json')).stdout) as { stale: string[] };
    assert.equal(stale.length, 3);
  });

  it('removes what is its own, and leaves accounts and units of others', async () => {
    await cms('install', '--yes');
    writeFileSync(join(units, 'cms-exim.socket'), '[Socket]\nListenStream=/mine\n');
    writeFileSync(join(units, 'other.service'), '[Service]\n');
    writeFileSync(join(home.configDir, 'accounts.json'), '{}');
    const shown = await cms('uninstall');
    assert.equal(shown.stdout, `${units}/cms.service\n${units}/cms.socket\n`);
    assert.ok(existsSync(join(units, 'cms.service')), 'nobody said yes');
    const { status, stderr } = await cms('uninstall', '--yes');
    assert.equal(status, 0, stderr);
    assert.match(stderr, /left alone, because it is not of cms: \S+cms-exim\.socket/);
    assert.deepEqual(readdirSync(units).sort(), ['cms-exim.socket', 'other.service']);
    assert.ok(existsSync(join(home.configDir, 'accounts.json')));
    assert.deepEqual(commands().slice(-2), [
      'systemctl --user disable --now cms.service cms.socket',
      'systemctl --user daemon-reload',
    ]);
    assert.match((await cms('uninstall', '--yes')).stderr, /no service of cms is installed/);
  });

  it('does not replace a unit that somebody wrote', async () => {
    mkdirSync(units, { recursive: true });
    writeFileSync(join(units, 'cms.service'), '[Service]\nExecStart=/mine\n');
    const { status, stderr } = await cms('install', '--yes');
    assert.equal(status, 73);
    assert.match(stderr, /cms: try: mv \S+cms\.service /);
    assert.deepEqual(commands(), []);
  });

  it('does not start beside a broker that somebody started by hand', async () => {
    await using broker = spawnCms(['serve'], { env, cwd: '/', ...NOBODY });
    await broker.waitFor(/listening/);
    const refused = await cms('install', '--yes', '--now');
    assert.equal(refused.status, 73);
    assert.match(refused.stderr, new RegExp(`try: kill ${broker.pid} `));
    assert.ok(!existsSync(units), 'nothing was written');
    writeFileSync(pidFile, String(broker.pid));
    assert.equal((await cms('install', '--yes', '--now')).status, 0, 'its own broker is no other');
  });

  it('knows exim’s socket from the last installation of exim', async () => {
    const socket = join(home.runtimeDir, 'exim.sock');
    const note = {
      ...{ version: 1, user: 'jane', socket, block_sha256: 'x' },
      options: { smartHostsFile: '/x', localDomains: [] },
    };
    writeFileSync(join(home.configDir, 'exim.json'), JSON.stringify(note));
    const { stdout } = await cms('install', '--dry-run');
    assert.ok(stdout.includes(`ListenStream=${socket}\n`), stdout);
    assert.match(stdout, /^loginctl enable-linger/m, 'exim does not wait for a login');
  });

  it('says how else to start the broker where systemd does not run the host', async () => {
    env.PATH = home.path;
    const { status, stdout, stderr } = await cms('install', '--yes');
    assert.equal(status, 78);
    const line = `${process.execPath} ${CMS_PROGRAM} serve`;
    assert.ok(stdout.includes(`@reboot umask 077; while :; do ${line}`), stdout);
    for (const way of ['cron', 'OpenRC', 'runit']) assert.ok(stdout.includes(`# ${way}`), way);
    assert.match(stderr, /systemd does not run this host/);
    assert.ok(!existsSync(units));
    assert.equal((await cms('status')).status, 69);
  });

  it('shows the script of the system, which is plain sh', async () => {
    for (const command of ['install', 'uninstall']) {
      const { status, stdout, stderr } = await cms(command, '--system');
      assert.equal(spawnSync('sh', ['-n'], { input: stdout, encoding: 'utf8' }).stderr, '');
      if (/^\/(home|root)\//.test(CMS_PROGRAM) && command === 'install') assert.equal(status, 78, 'a personal copy');
      else assert.match(stdout, /^systemctl daemon-reload$/m, stderr);
    }
  });

  describe('of the system, given a command', () => {
    const tool = (name: string, script: string): void =>
      writeFileSync(join(home.path, 'tools', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const add = (...argv: string[]): Promise<Finished> =>
      runCms(['account', 'add', ...argv], { env, cwd: home.path, ...NOBODY });

    beforeEach(() => {
      tool('getent', 'echo cms:x:990:990:broker:/var/lib/cms:/usr/sbin/nologin');
      tool('sudo', `printf '%s\\n' "$@" >${home.path}/sudo-was-told; exit 23`);
    });
    // The script comes before it.
    const sudoTold = (): string[] =>
      readFileSync(join(home.path, 'sudo-was-told'), 'utf8').trim().split('\n').slice(-12);

    it('runs it as account add --system does: all words go on, and its status comes back', async () => {
      const words = ['account', 'add', 'jane@example.org', '--flow', 'device', '--json'];
      const byRun = await cms('run', ...words);
      const byRunTold = sudoTold();
      const bySystem = await add('--system', ...words.slice(2));
      assert.deepEqual([byRun.status, bySystem.status], [23, 23]);
      assert.deepEqual(byRunTold.slice(-8), [process.execPath, CMS_PROGRAM, ...words]);
      assert.deepEqual(sudoTold(), byRunTold);
    });

    it('asks for no password where that can come to nothing', async () => {
      const unreadable = await add('--system', 'jane@example.org', '--password-file', 'missing');
      assert.deepEqual([unreadable.status, existsSync(join(home.path, 'sudo-was-told'))], [74, false]);
      assert.match(unreadable.stderr, /cannot read \S+\/missing: ENOENT/);
      for (const [flag, way] of [
        ['--exim', /service run exim-config --install/],
        ['--service', /cms service install --system --now/],
      ] as const) {
        const { status, stderr } = await add('--system', 'jane@example.org', flag);
        assert.equal(status, 64, stderr);
        assert.match(stderr, way);
      }
      // A person of that name is no service.
      for (const answer of ['exit 2', 'echo cms:x:1000:1000:Cms:/home/cms:/bin/sh']) {
        tool('getent', answer);
        const { status, stderr } = await add('--system', 'jane@example.org', '--json');
        assert.equal(status, 78);
        assert.deepEqual(JSON.parse(stderr), {
          error: 'config_invalid',
          error_description: 'the service of the system is not installed',
          suggestions: ['cms service install --system --now'],
        });
      }
      assert.ok(!existsSync(join(home.path, 'sudo-was-told')));
    });
  });

  it('is not for root', async function () {
    requiresRoot(this);
    for (const command of ['install', 'uninstall']) {
      const argv = asRoot(['env', 'SUDO_USER=jane', process.execPath, CMS_PROGRAM, 'service', command]);
      const { status, stderr } = await run(argv[0] ?? '', argv.slice(1), { env });
      assert.equal(status, 64);
      assert.match(stderr, /as jane, without sudo/);
      assert.match(stderr, /--system/);
    }
  });
});
