/** Requests to end that come while a refresh token is exchanged, at a provider that takes each of them once. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { openContext } from '../../src/lib/context.ts';
import { expire, JANE, Site, until } from '../reliability/harness.ts';
import { CMS_PROGRAM } from '../support/environment.ts';
import { faults } from '../support/provider.ts';
import { runInTerminal } from '../support/pty.ts';

const ANSWER_MS = 600;
const TOKEN = [process.execPath, CMS_PROGRAM, 'token', JANE];
/** As a program of somebody else uses the library. */
const LIBRARY = `
  import { openTokenService } from 'cms-oauth';
  console.log(await openTokenService().accessToken('${JANE}'));
`;

describe('an exchange that is interrupted', function () {
  this.timeout(60_000);
  let site: Site;

  beforeEach(async () => {
    site = await Site.open({ provider: { refreshTokens: 'rotate' } });
    await expire(site);
    site.provider.setFault(faults.delay(ANSWER_MS));
  });
  afterEach(() => site[Symbol.asyncDispose]());

  /** The request is with the provider, and the answer not here yet. */
  async function underWay(): Promise<void> {
    assert.notEqual(await until(() => site.provider.count('refresh_token') > 0, 20_000, 5), undefined);
  }

  /** What was granted is on the disk, and works. */
  async function isKept(): Promise<void> {
    site.provider.setFault(undefined);
    const { secrets } = await site.onDisk();
    assert.equal(secrets.attempt, undefined);
    assert.ok((await site.provider.introspect(secrets.access_token ?? '')).active);
    const { status, stderr } = await site.cms('token', JANE, '--force-refresh');
    assert.deepEqual([status, stderr], [0, '']);
  }

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`stores the answer before ${signal} ends cms token`, async () => {
      const child = site.spawn(TOKEN);
      await underWay();
      child.kill(signal);
      assert.deepEqual(await child.exited, { status: null, signal });
      assert.equal(child.stdout, '');
      await isKept();
    });

    it(`stores the answer before ${signal} ends a program with the library`, async () => {
      const child = site.spawn([process.execPath, '--input-type=module', '-e', LIBRARY]);
      await underWay();
      child.kill(signal);
      assert.deepEqual(await child.exited, { status: null, signal });
      await isKept();
    });
  }

  it('takes signals that follow each other within moments for one', async () => {
    const child = site.spawn(TOKEN);
    await underWay();
    for (const signal of ['SIGTERM', 'SIGTERM', 'SIGHUP', 'SIGINT'] as const) {
      child.kill(signal);
      await sleep(20);
    }
    assert.deepEqual(await child.exited, { status: null, signal: 'SIGTERM' });
    await isKept();
  });

  it('is ended by a second signal that comes later', async () => {
    site.provider.setFault(faults.hang);
    const child = site.spawn(TOKEN);
    await underWay();
    child.kill('SIGINT');
    await sleep(1200);
    assert.ok(child.running);
    const began = performance.now();
    child.kill('SIGINT');
    assert.deepEqual(await child.exited, { status: null, signal: 'SIGINT' });
    assert.ok(performance.now() - began < 8000, 'before the exchange is given up');
  });

  it('does not outlast the time that an exchange may take', async () => {
    site.provider.setFault(faults.hang);
    const child = site.spawn(TOKEN);
    await underWay();
    child.kill('SIGTERM');
    const began = performance.now();
    assert.equal((await child.exited).signal, 'SIGTERM');
    assert.ok(performance.now() - began < 12_000);
  });

  it('stores the answer although GNU timeout asks the child and then its group', async () => {
    // Longer than the start of a process, shorter than the answer after it.
    site.provider.setFault(faults.delay(4000));
    const child = site.spawn(['timeout', '--verbose', '2', ...TOKEN]);
    await underWay();
    assert.equal((await child.exited).status, 124);
    await isKept();
  });

  it('stores the answer although the terminal closes', async () => {
    const terminal = runInTerminal(process.execPath, [CMS_PROGRAM, 'doctor', JANE, '--refresh'], { env: site.env });
    await underWay();
    terminal.close();
    assert.notEqual(await until(async () => (await site.onDisk()).secrets.attempt === undefined, 15_000), undefined);
    await isKept();
  });

  it('stores the answer before a broker ends, however often it is asked to within moments', async () => {
    const broker = await site.serve();
    void site.ask(`SMTP,wait=20 ${JANE}`).catch(() => '');
    await underWay();
    for (let i = 0; i < 3; i++) broker.kill('SIGTERM');
    broker.kill('SIGINT');
    assert.deepEqual(await broker.exited, { status: 0, signal: null });
    await isKept();
  });

  it('stores the answer to a refresh that no client waits for before a broker ends', async () => {
    site.provider.setFault(faults.delay(7000));
    const broker = await site.serve();
    await underWay();
    broker.kill('SIGTERM');
    assert.deepEqual(await broker.exited, { status: 0, signal: null });
    await isKept();
  });

  it('is not begun by a broker that was asked to end, for a client that waits for a lock', async () => {
    site.provider.setFault(undefined);
    const { vault } = openContext({ ...process.env, ...site.env });
    const elsewhere = await vault.lock(JANE, 1000);
    const broker = await site.serve();
    void site.ask(`SMTP,wait=20 ${JANE}`).catch(() => '');
    await broker.waitFor(/no new token.*lock/);
    broker.kill('SIGTERM');
    const began = performance.now();
    assert.deepEqual(await broker.exited, { status: 0, signal: null });
    assert.ok(performance.now() - began < 12_000, 'long before the lock is given up');
    assert.equal(site.provider.count('refresh_token'), 0);
    await elsewhere[Symbol.asyncDispose]();
    await isKept();
  });
});
