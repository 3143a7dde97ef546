import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Children, inheritedEnvironment } from '../../../src/lib/notify/child.ts';

const env = { PATH: process.env.PATH };

/** Not gone, nor only waiting for somebody to take note of its end. */
async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
  return !stat.includes(') Z');
}

describe('a program that the broker runs', () => {
  it('is given its arguments and its environment, and nothing on stdin', async () => {
    const script = 'echo "$#|$1|$A|$HOME|$(cat)"';
    const ended = await new Children().run(['/bin/sh', '-c', script, 'x', '$(id) "; id'], {
      env: { ...env, A: '`id`' },
      timeoutMs: 5000,
    });
    assert.deepEqual(ended, { status: 0, failure: undefined, output: '1|$(id) "; id|`id`||\n' });
  });

  it('says how it ended', async () => {
    const run = async (...argv: string[]) => (await new Children().run(argv, { env, timeoutMs: 5000 })).failure;
    assert.equal(await run('/bin/sh', '-c', 'exit 3'), 'exit status 3');
    assert.equal(await run('/bin/sh', '-c', 'kill -TERM $$'), 'SIGTERM');
    assert.equal(await run('/no/such/program'), 'cannot be started: ENOENT');
    assert.equal(await run('/etc/passwd'), 'cannot be started: EACCES');
    assert.match((await run('/bin/sh', 'a\0b')) ?? '', /cannot be started/);
  });

  it('is judged when its turn has come, and not before', async () => {
    const children = new Children({ atOnce: 1 });
    let isTrusted = true;
    const judge = (): void => {
      if (!isTrusted) throw new Error('exchanged');
    };
    const first = children.run(['/bin/sh', '-c', 'sleep 0.2'], { env, timeoutMs: 5000, judge });
    const second = children.run(['/bin/sh', '-c', 'echo ran'], { env, timeoutMs: 5000, judge });
    isTrusted = false;
    assert.equal((await first).failure, undefined);
    assert.deepEqual(await second, { status: undefined, failure: 'exchanged', output: '' });
  });

  it('may write as much as it likes; the beginning is kept', async () => {
    const { status, output } = await new Children().run(['/bin/sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x'], {
      env,
      timeoutMs: 5000,
    });
    assert.equal(status, 0);
    assert.equal(output, 'x'.repeat(4096));
  });

  it('is killed with its children at the limit', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cms-child-'));
    const began = performance.now();
    const { failure } = await new Children().run(
      ['/bin/sh', '-c', 'trap "" TERM; sleep 300 & echo $! $$ > "$F"; wait'],
      { env: { ...env, F: join(folder, 'pids') }, timeoutMs: 500 },
    );
    assert.equal(failure, 'killed after 0.5 s');
    assert.ok(performance.now() - began < 60_000);
    const pids = (await readFile(join(folder, 'pids'), 'utf8')).trim().split(' ').map(Number);
    assert.equal(pids.length, 2);
    while ((await Promise.all(pids.map(isAlive))).includes(true)) await sleep(10);
    await rm(folder, { recursive: true });
  });

  it('is not waited for when a descendant that has left the group holds its output', async () => {
    const began = performance.now();
    const { failure } = await new Children().run(['/bin/sh', '-c', 'setsid sleep 15 & exit 0'], {
      env,
      timeoutMs: 500,
    });
    assert.equal(failure, 'killed after 0.5 s');
    assert.ok(performance.now() - began < 12_000);
  });

  it('is one of a few at once; too many are refused', async () => {
    const children = new Children({ atOnce: 2, maxWaiting: 2 });
    const script = 'date +%s%N; sleep 0.3; date +%s%N';
    const all = await Promise.all(
      Array.from({ length: 5 }, () => children.run(['/bin/sh', '-c', script], { env, timeoutMs: 5000 })),
    );
    const spans = all.flatMap(({ output }) => (output === '' ? [] : [output.trim().split('\n').map(BigInt)]));
    assert.equal(spans.length, 4);
    for (const [start = 0n] of spans) {
      const together = spans.filter(([from = 0n, to = 0n]) => from <= start && start < to).length;
      assert.ok(together <= 2, `${together} at once`);
    }
    assert.deepEqual(
      all.map(({ failure }) => failure),
      [undefined, undefined, undefined, undefined, 'too many programs are waiting to be run'],
    );
  });

  it('is killed when the broker ends, and nothing is started after that', async () => {
    const children = new Children();
    const running = children.run(['/bin/sleep', '300'], { env, timeoutMs: 10_000 });
    await sleep(50);
    children.close();
    assert.equal((await running).failure, 'SIGKILL');
    assert.equal((await children.run(['/bin/true'], { env, timeoutMs: 1000 })).failure, 'the broker is ending');
  });

  it('inherits where things are, and nothing secret', () => {
    assert.deepEqual(
      inheritedEnvironment({
        PATH: '/bin',
        HOME: '/h',
        XDG_RUNTIME_DIR: '/run/user/1',
        CMS_STATE_DIR: '/s',
        CMS_VAULT_KEY_FILE: '/k',
        CREDENTIALS_DIRECTORY: '/c',
        AWS_SECRET_ACCESS_KEY: 'x',
        LD_PRELOAD: 'x',
        NODE_OPTIONS: 'x',
        NOTIFY_SOCKET: 'x',
      }),
      { PATH: '/bin', HOME: '/h', XDG_RUNTIME_DIR: '/run/user/1', CMS_STATE_DIR: '/s' },
    );
  });
});
