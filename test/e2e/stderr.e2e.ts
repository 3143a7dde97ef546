/** What reads the words of cms may go away, stand still or fill up: nothing of the work depends on it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { CMS_PROGRAM, temporaryHome, type TemporaryHome } from '../support/environment.ts';
import { run } from '../support/processes.ts';
import { runInTerminal } from '../support/pty.ts';
import { talk } from '../support/wire.ts';

const REFUSED = 'SMTP nobody@example.org';

describe('stderr', function () {
  this.timeout(30_000);
  let home: TemporaryHome;
  let socket: string;

  beforeEach(async () => {
    home = await temporaryHome();
    socket = join(home.runtimeDir, 'cms.sock');
  });
  afterEach(() => home.remove());

  type Broker = ChildProcessByStdio<null, null, Readable>;

  async function serve(env: Record<string, string> = {}): Promise<Broker> {
    const child = spawn(process.execPath, [CMS_PROGRAM, 'serve'], {
      env: { ...home.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await readUntil(child.stderr, /listening/);
    return child;
  }

  async function readUntil(stream: Readable, pattern: RegExp): Promise<string> {
    let text = '';
    while (!pattern.test(text)) text += String((await once(stream, 'data'))[0]);
    return text;
  }

  async function answersStatus(): Promise<number> {
    const { broker } = JSON.parse(await talk(socket, 'STATUS')) as { broker: { pid: number } };
    return broker.pid;
  }

  async function endsWell(child: Broker): Promise<void> {
    const exited = once(child, 'exit');
    child.kill();
    assert.deepEqual(await exited, [0, null]);
    assert.equal(existsSync(socket), false, 'the socket is still there');
  }

  it('may be closed under the broker', async () => {
    const child = await serve();
    child.stderr.destroy();
    for (let i = 0; i < 3; i++) assert.equal(await talk(socket, REFUSED), '');
    assert.equal(await answersStatus(), child.pid);
    await endsWell(child);
  });

  it('may be a disk that is full', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [CMS_PROGRAM, 'serve'], { env: home.env, stdio: ['ignore', full, full] });
    while (!existsSync(socket) && child.exitCode === null) await run('true', []);
    for (let i = 0; i < 3; i++) assert.equal(await talk(socket, REFUSED), '');
    assert.equal(await answersStatus(), child.pid);
    await endsWell(child as unknown as Broker);
  });

  it('may be a terminal that is closed', async () => {
    const terminal = spawn('script', ['-qec', `"${process.execPath}" "${CMS_PROGRAM}" serve`, '/dev/null'], {
      env: home.env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await readUntil(terminal.stdout, /listening/);
    const pid = await answersStatus();
    const exited = once(terminal, 'exit');
    terminal.kill('SIGKILL');
    await exited;
    for (let i = 0; i < 3; i++) assert.equal(await talk(socket, REFUSED), '');
    assert.equal(await answersStatus(), pid);
    process.kill(pid);
    while (existsSync(socket)) await run('true', []);
  });

  it('may outlive the terminal, which is not given back at the end', async () => {
    const [log, ended] = [join(home.path, 'log'), join(home.path, 'ended')];
    const line = `trap '' HUP; "$0" "$1" serve 2>"$2"; echo $? >"$3.new"; mv "$3.new" "$3"`;
    const terminal = runInTerminal('sh', ['-c', line, process.execPath, CMS_PROGRAM, log, ended], { env: home.env });
    while (!existsSync(socket)) await run('true', []);
    const pid = await answersStatus();
    terminal.close();
    while (!readlinkSync(`/proc/${terminal.pid}/fd/0`).endsWith('(deleted)')) await run('true', []);
    process.kill(pid);
    while (!existsSync(ended)) await run('true', []);
    assert.equal(readFileSync(ended, 'utf8'), '0\n');
    assert.doesNotMatch(readFileSync(log, 'utf8'), /Assertion|stack trace/);
  });

  it('may stand still: lines beyond a megabyte are counted, and the broker ends when it is told to', async () => {
    const preload = join(home.path, 'flood.cjs');
    const flood = "process.on('SIGUSR2', () => { process.stderr.write('x'.repeat(4e6) + '\\n'); });";
    await writeFile(preload, flood);
    const child = await serve({ NODE_OPTIONS: `--require=${preload}` });
    child.stderr.pause();
    child.kill('SIGUSR2');
    // The signal is in the loop of the broker before the connection is.
    assert.equal(await talk(socket, REFUSED), '');
    assert.equal(await talk(socket, REFUSED), '');
    const drained = readUntil(child.stderr, /x\n/);
    child.stderr.resume();
    await drained;
    const said = readUntil(child.stderr, /not served/);
    assert.equal(await talk(socket, REFUSED), '');
    assert.match(await said, /[12] lines? of the log/);
    child.stderr.pause();
    child.kill('SIGUSR2');
    assert.equal(await talk(socket, REFUSED), '');
    await endsWell(child);
  });

  for (const [argv, status] of [
    [['account', 'list'], 0],
    [['token', 'jane@example.org'], 67],
    [['account', 'add', 'jane@example.org', '--provider', 'nonesuch'], 64],
    [['nonesuch'], 64],
    [['status'], 69],
  ] as const) {
    it(`may be closed and changes no exit status: cms ${argv.join(' ')}`, async () => {
      for (const where of ['>&-', '>/dev/full']) {
        const shell = `"$@" 2${where}; echo "status $?"`;
        const { stdout } = await run('sh', ['-c', shell, 'sh', process.execPath, CMS_PROGRAM, ...argv], {
          env: home.env,
        });
        assert.match(stdout, new RegExp(`status ${status}\n$`), where);
      }
      // Nothing reads: the other end of the pipe is closed before the program starts.
      const gone = `{ "$@" 2>&1 >/dev/null; echo "status $?" >"$0"; } | true; while ! test -s "$0"; do :; done; cat "$0"`;
      const file = join(home.path, 'status');
      const { stdout } = await run('sh', ['-c', gone, file, process.execPath, CMS_PROGRAM, ...argv], { env: home.env });
      assert.equal(stdout, `status ${status}\n`);
    });
  }
});
