import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryHome } from './environment.ts';
import { run, start } from './processes.ts';

describe('a temporary home', () => {
  it('has nothing of the caller but PATH, belongs to its owner alone, and goes without a trace', async () => {
    const home = await temporaryHome({ env: { EXTRA: 'yes' } });
    const { env, path, runtimeDir } = home;
    const names = ['CMS_CONFIG_DIR', 'CMS_RUNTIME_DIR', 'CMS_STATE_DIR', 'EXTRA', 'HOME', 'LANG', 'PATH'];
    assert.deepEqual(Object.keys(env).sort(), names);
    assert.equal((await stat(path)).mode & 0o777, 0o700);
    assert.ok(Buffer.byteLength(join(runtimeDir, 'cms.sock')) <= 107);
    const file = await home.writeConfig('config.toml', 'x = 1\n');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    await home.remove();
    assert.equal(existsSync(path), false);
  });
});

describe('a process', () => {
  const node = (script: string) => [process.execPath, ['-e', script]] as const;

  it('is run to its end with its input, output, status and signal', async () => {
    const [file, args] = node(
      "process.stdin.pipe(process.stdout); process.stdin.on('end', () => (process.exitCode = 9))",
    );
    const done = await run(file, args, { input: 'through' });
    assert.deepEqual(done, { status: 9, signal: null, stdout: 'through', stderr: '' });
    const killed = await run('/bin/sh', ['-c', 'kill -TERM $$']);
    assert.deepEqual([killed.status, killed.signal], [null, 'SIGTERM']);
  });

  it('is killed when it takes too long', async () => {
    const [file, args] = node('setInterval(() => {}, 1000)');
    await assert.rejects(run(file, args, { timeoutMs: 200 }), /took longer than 200 ms/);
  });

  it('is waited for by what it says, and stopped', async () => {
    const script =
      "process.on('SIGTERM', () => process.exit(3)); setInterval(() => {}, 1000); console.error('ready on 7')";
    const running = start(...node(script));
    assert.equal((await running.waitFor(/ready on (\d)/, { stream: 'stderr' }))[1], '7');
    await assert.rejects(running.waitFor(/more/, { timeoutMs: 100 }), /no \/more\/ in 100 ms/);
    assert.equal((await running.stop()).status, 3);
    assert.equal(running.running, false);
  });

  it('that ends is not waited for', async () => {
    await assert.rejects(start(...node('')).waitFor(/never/), /ended without \/never\//);
  });

  it('that ignores SIGTERM is killed', async () => {
    const running = start('/bin/sh', ['-c', "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
    await running.waitFor(/ready/);
    assert.equal((await running.stop(200)).signal, 'SIGKILL');
  });
});
