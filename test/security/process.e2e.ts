/** The broker as a process: what a program of the same user, or whoever finds its remains, gets out of it. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { CMS_PROGRAM, runCms, spawnCms, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { type Finished, run, start } from '../support/processes.ts';
import { requires } from '../support/requirements.ts';
import { OTHER_USER } from './second-user.ts';

const ROOT = new URL('../../', import.meta.url);

const ADD = ['account', 'add', 'jane@example.org', '--provider', 'microsoft', '--client-id', 'x', '--no-browser'];
const SIGN_IN = [...ADD, '--store', 'file'];
const PROGRAMS = [
  { name: 'the broker', args: ['serve'], ready: /listening/ },
  { name: 'a sign-in', args: SIGN_IN, ready: /^https:/m },
];

describe('the process of the broker', function () {
  this.timeout(30_000);
  let home: TemporaryHome;

  beforeEach(async () => {
    home = await temporaryHome();
  });
  afterEach(() => home.remove());

  // Row 18.
  it('opens no debugger on SIGUSR1, and neither does any other command', async () => {
    const serving = spawnCms(['serve'], { env: home.env });
    await serving.waitFor(/listening/);
    const waiting = spawnCms(SIGN_IN, { env: home.env });
    await waiting.waitFor(/^https:/m);
    for (const process of [serving, waiting]) {
      process.kill('SIGUSR1');
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.equal(await connects(9229), false);
      assert.ok(process.running);
      assert.doesNotMatch(process.stderr, /Debugger/);
      await process.stop();
    }
  });

  // Row 18.
  it('does not run with a debugger open', async () => {
    for (const option of ['--inspect=127.0.0.1:0', '--inspect=0']) {
      const { status, stderr } = await runCms(['serve'], { env: { ...home.env, NODE_OPTIONS: option } });
      assert.equal(status, 78);
      assert.match(stderr, /cms: error: the broker does not run with a debugger open/);
    }
  });

  it('does not run with an option that writes its memory to a file', async () => {
    const fresh = await temporaryHome();
    for (const [name, env] of [
      ['--heapsnapshot-signal', { NODE_OPTIONS: '--heapsnapshot-signal=SIGUSR2' }],
      ['--heapsnapshot-near-heap-limit', { NODE_OPTIONS: '--no-warnings "--heapsnapshot-near-heap-limit=1"' }],
      ['--report-on-signal', { NODE_OPTIONS: '--report-on-signal' }],
      ['--tls-keylog', { NODE_OPTIONS: `--tls-keylog=${fresh.path}/keys` }],
      ['NODE_DEBUG', { NODE_DEBUG: 'http' }],
    ] as const) {
      const { status, stderr } = await runCms(['serve'], { env: { ...fresh.env, ...env }, cwd: fresh.path });
      assert.equal(status, 78, stderr);
      assert.match(
        stderr,
        new RegExp(`^cms: error: the broker does not run with ${name}, .*\ncms: try: .*${name}`, 'm'),
      );
      assert.equal(existsSync(fresh.stateDir), false);
    }
    const argv = ['--heapsnapshot-signal=SIGUSR2', CMS_PROGRAM, 'serve'];
    assert.equal((await run(process.execPath, argv, { env: fresh.env })).status, 78);
    await fresh.remove();
  });

  // Row 18.
  for (const { name, args, ready } of PROGRAMS) {
    it(`is closed to other processes of its own user: ${name}`, async function () {
      const owner = await ordinaryUser(this);
      mkdirSync(join(home.path, 'of-the-user'));
      await run('chmod', ['0755', home.path]);
      const own = join(home.path, 'of-the-user');
      if (owner !== undefined) await run('chown', [OTHER_USER, own]);
      const env = {
        PATH: process.env.PATH,
        HOME: own,
        CMS_RUNTIME_DIR: join(own, 'run'),
        CANARY: 'in-the-environment',
      };
      const as = (argv: string[]): string[] => [...(owner ?? []), ...argv];
      const [command = '', ...argv] = as([process.execPath, CMS_PROGRAM, ...args]);
      await using broker = start(command, argv, { env, cwd: '/' });
      await broker.waitFor(ready);
      const look = (file: string, pid = broker.pid): Promise<Finished> => {
        const [program = '', ...rest] = as(['head', '-c', '1', `/proc/${pid}/${file}`]);
        return run(program, rest, { cwd: '/' });
      };
      for (const file of ['mem', 'environ', 'maps', 'auxv', 'syscall']) {
        const { status, stdout, stderr } = await look(file);
        assert.notEqual(status, 0, `${file} can be read`);
        assert.equal(stdout, '');
        assert.match(stderr, /Permission denied|Operation not permitted/);
      }
      const [sleep = '', ...minute] = as(['sleep', '60']);
      await using other = start(sleep, minute, { env, cwd: '/' });
      while (!readFileSync(`/proc/${other.pid}/comm`, 'utf8').startsWith('sleep')) await run('true', []);
      assert.equal(
        (await look('environ', other.pid)).stdout,
        'P',
        'this user can look into other processes of its own',
      );
      const [list = '', ...fd] = as(['ls', `/proc/${broker.pid}/fd`]);
      assert.match((await run(list, fd, { cwd: '/' })).stderr, /Permission denied/);
      assert.equal(statSync(`/proc/${broker.pid}/environ`).uid, 0, 'the kernel gives what cannot be dumped to root');
    });
  }

  // Row 18.
  it('leaves no core file when it crashes', async function () {
    const dump = async (argv: string[], name: string, ready?: RegExp): Promise<string[]> => {
      const cwd = join(home.path, name);
      mkdirSync(cwd);
      const victim = start('sh', ['-c', 'ulimit -c unlimited; exec "$0" "$@"', ...argv], { cwd, env: home.env });
      if (ready) await victim.waitFor(ready);
      else await new Promise((resolve) => setTimeout(resolve, 200));
      victim.kill('SIGSEGV');
      assert.equal((await victim.exited).signal, 'SIGSEGV');
      return readdirSync(cwd);
    };
    if ((await dump(['sleep', '60'], 'control')).length === 0) {
      // No core files can be had here. That the kernel would write none shows in who owns the process's files.
      if (process.getuid?.() === 0) this.skip();
      const broker = start(process.execPath, [CMS_PROGRAM, 'serve'], { env: home.env });
      await broker.waitFor(/listening/);
      assert.equal(statSync(`/proc/${broker.pid}/environ`).uid, 0);
      await broker.stop();
      return;
    }
    assert.deepEqual(await dump([process.execPath, CMS_PROGRAM, 'serve'], 'broker', /listening/), []);
  });

  // Row 27.
  it('needs no install script of anybody: npm ci --ignore-scripts is enough', async () => {
    const program = `
      require('koffi').load(null);
      require('@napi-rs/keyring');
      console.log(JSON.stringify(process.report.getReport().sharedObjects.filter((file) => file.endsWith('.node'))));`;
    const { stdout, stderr } = await run(process.execPath, ['-e', program], { cwd: new URL('.', ROOT).pathname });
    assert.equal(stderr, '');
    const loaded = (JSON.parse(stdout) as string[]).map((file) => file.slice(file.lastIndexOf('node_modules/')));
    assert.equal(loaded.length, 2, stdout);
    const lock = JSON.parse(readFileSync(new URL('package-lock.json', ROOT), 'utf8')) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    for (const file of loaded) {
      const [name = ''] = /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? [];
      assert.ok(lock.packages[name], name);
      assert.notEqual(lock.packages[name].hasInstallScript, true, `${name} is built at installation`);
    }
  });
});

/** How to become an ordinary user: root may look into everything. Undefined for who is one already. */
async function ordinaryUser(context: Mocha.Context): Promise<string[] | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  requires(context, 'second-user');
  const become = [`--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, '--clear-groups', '--'];
  // A checkout that other users cannot read, as below a home of mode 0700, cannot be run as one of them.
  if ((await run('setpriv', [...become, 'test', '-r', CMS_PROGRAM], { cwd: '/' })).status !== 0) context.skip();
  return ['setpriv', ...become];
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
