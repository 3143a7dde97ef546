/** Requests to end that come while a refresh token is exchanged, at a provider that takes each of them once. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openContext } from '../../src/lib/context.ts';
import { expire, JANE, Site, until } from '../reliability/harness.ts';
import { CMS_PROGRAM, spawnCms } from '../support/environment.ts';
import { approveDevice, signIn } from '../support/person.ts';
import { run, type RunningProcess } from '../support/processes.ts';
import { requires } from '../support/requirements.ts';
import { CONFIDENTIAL_CLIENT, ENDPOINT, type Fault, faults } from '../support/provider.ts';
import { runInTerminal } from '../support/pty.ts';
import { startWorld, type World } from '../support/world.ts';

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

describe('a sign-in that is given up while its code is exchanged', function () {
  this.timeout(60_000);
  let world: World;

  beforeEach(async () => {
    world = await startWorld();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  const add = (...flags: string[]): RunningProcess =>
    spawnCms(['account', 'add', JANE, ...world.serverFlags, '--no-browser', ...flags], { env: world.env });

  /** Returns when the signal is not pending any more, and the process waits again. */
  async function asked(adding: RunningProcess, signal: NodeJS.Signals): Promise<void> {
    adding.kill(signal);
    const hasHeard = (): boolean => {
      const status = readFileSync(`/proc/${adding.pid}/status`, 'utf8');
      return /^State:\s+S/m.test(status) && /^SigPnd:\s+0+\nShdPnd:\s+0+$/m.test(status);
    };
    assert.notEqual(await until(hasHeard, 5000, 5), undefined);
  }

  /** Somebody signs in; the provider has granted it, and its answer comes after the signal. */
  async function granted(adding: RunningProcess, signal: NodeJS.Signals): Promise<string> {
    const [url] = await adding.waitFor(/^http:\S+\/auth\?\S+$/m, { stream: 'stderr' });
    let issued = '';
    const held: Fault = async (_request, forward) => {
      const answer = await forward();
      issued = (JSON.parse(answer.body.toString()) as { refresh_token: string }).refresh_token;
      await asked(adding, signal);
      return answer;
    };
    world.provider.setFault(held);
    await signIn(url, { login: JANE }).catch(() => undefined);
    await adding.exited;
    world.provider.setFault(undefined);
    return issued;
  }

  const isActive = async (token: string): Promise<boolean> => (await world.provider.introspect(token)).active;

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`gives back what was granted after ${signal}, and leaves nothing`, async () => {
      const adding = add();
      const issued = await granted(adding, signal);
      assert.deepEqual(await adding.exited, { status: 64, signal: null }, adding.stderr);
      assert.match(adding.stderr, /cancelled; nothing was changed/);
      assert.notEqual(issued, '');
      assert.equal(await isActive(issued), false);
      assert.deepEqual(existsSync(world.home.configDir) ? readdirSync(world.home.configDir) : [], []);
    });
  }

  it('puts it in the place of the one before, which a revocation might end as well', async () => {
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    const adding = add('--no-test');
    const issued = await granted(adding, 'SIGINT');
    assert.equal((await adding.exited).status, 64);
    assert.match(adding.stderr, /cancelled, but the provider had granted it: it takes the place of the sign-in before/);
    assert.equal(await isActive(issued), true);
    assert.equal((await world.cms('token', JANE, '--force-refresh')).status, 0);
    assert.equal(world.provider.requests.at(-1)?.parameters.get('refresh_token'), issued);
  });

  it('says so where the provider does not take it back, and waits for it no longer than for a request', async () => {
    world.provider.setFault(faults.hang, ENDPOINT.revocation);
    const adding = add();
    const began = performance.now();
    const issued = await granted(adding, 'SIGINT');
    assert.equal((await adding.exited).status, 64);
    assert.match(adding.stderr, /it was not kept, and the provider does not take it back/);
    assert.ok(performance.now() - began < 20_000);
    assert.equal(await isActive(issued), true);
  });

  it('ends with the request where the provider does not answer, and at once at a second Ctrl-C', async () => {
    for (const [twice, most] of [
      [false, 14_000],
      [true, 6000],
    ] as const) {
      const adding = add();
      const [url] = await adding.waitFor(/^http:\S+\/auth\?\S+$/m, { stream: 'stderr' });
      world.provider.clearRequests();
      world.provider.setFault(faults.hang);
      const person = signIn(url, { login: JANE }).catch(() => undefined);
      assert.notEqual(await until(() => world.provider.count('authorization_code') > 0, 20_000, 5), undefined);
      const began = performance.now();
      adding.kill('SIGINT');
      if (twice) {
        await sleep(1200);
        adding.kill('SIGINT');
      }
      await adding.exited;
      assert.ok(performance.now() - began < most);
      await person;
      world.provider.setFault(undefined);
      assert.deepEqual(existsSync(world.home.configDir) ? readdirSync(world.home.configDir) : [], []);
    }
  });

  it('gives back what a poll for a device code brings', async () => {
    const adding = add('--flow', 'device');
    const [, uri = '', code = ''] = await adding.waitFor(/^(http\S+\/device)\n([A-Z0-9-]{6,})$/m);
    let issued = '';
    const held: Fault = async (_request, forward) => {
      const answer = await forward();
      const { refresh_token } = JSON.parse(answer.body.toString()) as { refresh_token?: string };
      if (refresh_token !== undefined) {
        issued = refresh_token;
        await asked(adding, 'SIGINT');
      }
      return answer;
    };
    world.provider.setFault(held);
    await approveDevice(uri, code, { login: JANE });
    assert.deepEqual(await adding.exited, { status: 64, signal: null }, adding.stderr);
    assert.notEqual(issued, '');
    assert.equal(await isActive(issued), false);
    assert.deepEqual(existsSync(world.home.configDir) ? readdirSync(world.home.configDir) : [], []);
  });
});

describe('a sign-in anew that is killed', function () {
  this.timeout(150_000);
  requires(this, 'strace');

  it('leaves the account before or the account after it, wherever that happens', async () => {
    await using world = await startWorld();
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    const secret = join(world.home.path, 'client-secret');
    writeFileSync(secret, `${CONFIDENTIAL_CLIENT.clientSecret}\n`);
    const { clientId } = CONFIDENTIAL_CLIENT;
    const flags = world.serverFlags.map((flag) => (flag === world.provider.clientId ? clientId : flag));
    const anew = [process.execPath, CMS_PROGRAM, 'account', 'add', JANE, ...flags, '--client-secret-file', secret];
    // All that is written goes through one thread, so that its calls can be counted.
    const env = { ...world.env, CMS_TEST_LOGIN: JANE, UV_THREADPOOL_SIZE: '1' };
    const calls = '?rename,?renameat,?renameat2,?unlink,?unlinkat';
    const seen = new Set<string>();
    for (let at = 1, killed = true; killed; at++) {
      assert.ok(at < 30, 'it comes to an end');
      const strace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e'];
      const { status, stderr } = await run(
        'strace',
        [...strace, `inject=${calls}:signal=SIGKILL:when=${at}`, ...anew, '--no-test', '--flow', 'browser'],
        { env, timeoutMs: 60_000 },
      );
      killed = status === null;
      if (!killed) assert.equal(status, 0, stderr);
      const refreshed = await world.cms('token', JANE, '--force-refresh');
      assert.deepEqual([refreshed.status, refreshed.stderr], [0, ''], `killed at ${at}`);
      const used = world.provider.requests.at(-1)?.clientId ?? '';
      const { accounts } = JSON.parse(readFileSync(join(world.home.configDir, 'accounts.json'), 'utf8')) as {
        accounts: Record<string, { client: { client_id: string } }>;
      };
      assert.equal(accounts[JANE]?.client.client_id, used, `killed at ${at}`);
      seen.add(used);
      // Back to the account before it.
      if (used === clientId) assert.equal((await world.add(JANE, '--no-test')).status, 0);
    }
    assert.deepEqual([...seen].sort(), [world.provider.clientId, clientId].sort());
  });
});
