/** What somebody else on this machine, or a provider that misbehaves, can do to a sign-in. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { signInWithChromium, withPage } from '../support/chromium.ts';
import { CMS_PROGRAM, spawnCms } from '../support/environment.ts';
import { signIn } from '../support/person.ts';
import { type RunningProcess, start } from '../support/processes.ts';
import { ENDPOINT, type Fault, faults } from '../support/provider.ts';
import { requires } from '../support/requirements.ts';
import { startWorld, type World } from '../support/world.ts';
import { asOther, squatter, startAsOther } from './second-user.ts';

const JANE = 'jane@example.org';
/** A machine without ::1 has no second address that somebody could take: nothing to test there. */
const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

describe('a sign-in on a machine with other users', function () {
  this.timeout(30_000);
  let world: World;

  before(async () => {
    world = await startWorld();
  });
  after(() => world[Symbol.asyncDispose]());
  afterEach(() => world.provider.setFault(undefined));

  const add = (...flags: string[]): RunningProcess =>
    spawnCms(['account', 'add', JANE, '--no-browser', '--no-test', ...flags], { env: world.env });
  const urlOf = async (adding: RunningProcess): Promise<URL> => {
    const [url] = await adding.waitFor(/^https?:\/\/\S+$/m, { stream: 'stderr' });
    return new URL(url);
  };
  /** Microsoft takes `localhost` only, which browsers look for at ::1 first. */
  const localhost = (port: number): string[] => [
    '--provider',
    'microsoft',
    '--client-id',
    'x',
    '--redirect-port',
    String(port),
  ];

  // Row 1.
  it('is not begun where another user holds the other address of localhost, or the only one', async function () {
    requires(this, 'sudo');
    if (!hasIPv6) this.skip();
    for (const host of ['::1', '127.0.0.1']) {
      const port = await freePort();
      await using squat = startAsOther(squatter(host, port));
      await squat.waitFor(/bound/);
      const adding = add(...localhost(port));
      const { status } = await adding.exited;
      assert.equal(status, 73, adding.stderr);
      assert.match(
        adding.stderr,
        new RegExp(`cannot listen on ${host.replaceAll('.', '\\.')} port ${port}.*EADDRINUSE`),
      );
      assert.doesNotMatch(adding.stderr, /^https:/m, 'no URL is shown whose code would go to somebody else');
    }
  });

  // Rows 1 and 2.
  it('leaves nobody an address of its port, and none of its own is reachable from elsewhere', async function () {
    requires(this, 'sudo');
    if (!hasIPv6) this.skip();
    const port = await freePort();
    await using adding = add(...localhost(port));
    const url = await urlOf(adding);
    assert.equal(new URL(url.searchParams.get('redirect_uri')!).host, `localhost:${port}`);
    const hosts = ['127.0.0.1', '::1', '0.0.0.0', '::'];
    const said = await Promise.all(hosts.map((host) => asOther(squatter(host, port))));
    assert.deepEqual(
      said.map(({ stdout }) => stdout.trim()),
      hosts.map(() => 'EADDRINUSE'),
    );
    const outside = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
    for (const { address, internal, family } of outside) {
      if (!internal && family === 'IPv4') assert.equal(await connects(address, port), false, address);
    }
  });

  /** The argument with which the browser that opens nothing was started, as every user can read it. */
  async function oneTimeAddress(adding: RunningProcess): Promise<{ oneTime: string; redirect: string }> {
    const [, redirect = ''] = await adding.waitFor(/waiting for the browser on (\S+) /, { stream: 'stderr' });
    const look = `cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" "\\n" | grep '^${redirect}' || true`;
    for (let tries = 0; tries < 100; tries++) {
      const [oneTime = ''] = (await asOther(['sh', '-c', look])).stdout.split('\n');
      if (oneTime !== '') return { oneTime, redirect };
    }
    throw new Error(`no browser was started\n${adding.stderr}`);
  }

  it('is completed by the browser that was led on, and another user who opens or replays its addresses gets nothing', async function () {
    requires(this, 'sudo', 'chromium');
    const env = { ...world.env, BROWSER: `${process.execPath} -e setInterval(()=>0,1000)` };
    await using adding = spawnCms(['account', 'add', JANE, ...world.serverFlags, '--no-test'], { env });
    const { oneTime, redirect } = await oneTimeAddress(adding);
    const asTheirs = async (url: string): Promise<{ status: number | null; stdout: string }> =>
      asOther(['curl', '-si', '--max-time', '5', url]);
    world.provider.clearRequests();
    let answer = '';
    await withPage(async (page) => {
      await page.goto(oneTime);
      assert.match(page.url(), new RegExp(`^${world.provider.issuer}`), 'led on');
      assert.match((await asTheirs(oneTime)).stdout, /^HTTP\/1\.1 403 /);
      page.on('request', (request) => {
        if (request.url().startsWith(`${redirect}?`)) answer = request.url();
      });
      // While the code is exchanged, the other user has it as well.
      let replayed = '';
      const replay: Fault = async (_request, forward) => {
        replayed = (await asTheirs(answer)).stdout;
        return forward();
      };
      world.provider.setFault(replay);
      const { status, body } = await signInWithChromium(page, page.url(), { login: JANE });
      assert.equal(status, 200, body);
      assert.match(body, /Signed in as jane@example\.org/);
      assert.match(answer, /[?&]code=/);
      assert.match(replayed, /^HTTP\/1\.1 403 /, 'without the cookie');
      assert.deepEqual(
        (await page.context().cookies(redirect)).filter(({ name }) => name.startsWith('cms-')),
        [],
        'the cookie is gone',
      );
    });
    assert.equal((await adding.exited).status, 0, adding.stderr);
    assert.equal(world.provider.count('authorization_code'), 1);
    for (const url of [oneTime, answer, redirect]) {
      const { status, stdout } = await asTheirs(url);
      assert.deepEqual([status, stdout], [7, ''], `nobody listens any more at ${url}`);
    }
    assert.match((await world.cms('account', 'show', JANE)).stdout, /jane@example\.org/);
  });

  // Row 3.
  it('shows other users nothing that they could use in the arguments of the browser', async function () {
    requires(this, 'sudo');
    const env = { ...world.env, BROWSER: `${process.execPath} -e setInterval(()=>0,1000)` };
    await using adding = spawnCms(['account', 'add', JANE, ...world.serverFlags, '--no-test'], { env });
    const { oneTime, redirect } = await oneTimeAddress(adding);
    const [shown = ''] = /^http:\S+\/auth\?\S+$/m.exec(adding.stderr) ?? [];
    for (const name of ['state', 'nonce', 'code_challenge'])
      assert.ok(!oneTime.includes(new URL(shown).searchParams.get(name)!), name);

    const theirs = await asOther(['curl', '-si', oneTime]);
    assert.match(theirs.stdout, /^HTTP\/1\.1 403 /);
    assert.doesNotMatch(theirs.stdout, /^(?:location|set-cookie):/im);
    await adding.waitFor(/another user of this computer \(uid \d+\) tried to open this sign-in/, { stream: 'stderr' });

    const ours = await fetch(oneTime, { redirect: 'manual' });
    assert.equal(ours.status, 302);
    const { state, ...led } = Object.fromEntries(new URL(ours.headers.get('location')!).searchParams);
    assert.notEqual(state, new URL(shown).searchParams.get('state'));
    assert.equal(led.code_challenge, new URL(shown).searchParams.get('code_challenge'));
    assert.equal((await fetch(`${redirect}?code=theirs&state=${state!}`)).status, 403, 'without its cookie');
    assert.equal((await fetch(oneTime, { redirect: 'manual' })).status, 410, 'a second time');
    assert.equal((await signIn(shown, { login: JANE })).status, 200);
    assert.equal((await adding.exited).status, 0, adding.stderr);
  });

  // Row 5.
  it('survives ten thousand callbacks that are not its own', async () => {
    await using adding = add(...world.serverFlags, '--json');
    const url = await urlOf(adding);
    const redirect = new URL(url.searchParams.get('redirect_uri')!);
    const lines = [
      '/?error=access_denied&state=guess',
      '/?code=stolen',
      '/',
      '/?error=x&error_description=%3Cscript%3E',
      '/x',
    ];
    let left = 10_000;
    const flood = async (): Promise<void> => {
      while (left-- > 0) assert.match(await knock(redirect, lines[left % lines.length]!), /^HTTP\/1\.1 40[34] /);
    };
    await Promise.all(Array.from({ length: 50 }, flood));
    assert.equal((await signIn(url.href, { login: JANE })).status, 200);
    assert.equal((await adding.exited).status, 0, adding.stderr);
  });

  it('is finished although another user floods the port of the redirect', async function () {
    requires(this, 'sudo', 'prlimit');
    const few = ['--nofile=256:256', process.execPath, CMS_PROGRAM];
    const argv = [...few, 'account', 'add', JANE, ...world.serverFlags, '--no-browser', '--no-test'];
    await using adding = start('prlimit', argv, { env: world.env });
    const url = await urlOf(adding);
    const { port } = new URL(url.searchParams.get('redirect_uri')!);
    await using flood = startAsOther([process.execPath, '-e', FLOOD, port]);
    await flood.waitFor(/flooding/);
    assert.equal((await signIn(url.href, { login: JANE })).status, 200);
    assert.equal((await adding.exited).status, 0, adding.stderr);
  });

  // Row 8; a sign-in's own redirect is in test/e2e/account.e2e.ts.
  it('leaves a grant whose refresh and revocation are never sent on to another server', async () => {
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    let visits = 0;
    const thief = createServer((_request, response) => response.end(String(++visits)));
    await once(thief.listen(0, '127.0.0.1'), 'listening');
    const location = `http://127.0.0.1:${(thief.address() as AddressInfo).port}/token`;
    try {
      for (const status of [302, 307, 308]) {
        world.provider.setFault(faults.answer(status, '', { location }));
        const { status: exit, stderr } = await world.cms('token', JANE, '--force-refresh');
        assert.equal(exit, 75, stderr);
        assert.match(stderr, new RegExp(`answered ${status}`));
      }
      world.provider.setFault(faults.answer(307, '', { location }), ENDPOINT.revocation);
      assert.match((await world.cms('account', 'remove', JANE, '--yes')).stderr, /not be revoked|not revoked/);
    } finally {
      world.provider.setFault(undefined, ENDPOINT.revocation);
      thief.close();
    }
    assert.equal(visits, 0);
  });

  // Row 8.
  it('leaves a grant that is not sent at all where certificates are not checked', async () => {
    assert.equal((await world.add(JANE, '--no-test')).status, 0);
    world.provider.clearRequests();
    world.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    const { status, stderr } = await world.cms('token', JANE, '--force-refresh');
    delete world.env.NODE_TLS_REJECT_UNAUTHORIZED;
    assert.equal(status, 78);
    assert.match(stderr, /NODE_TLS_REJECT_UNAUTHORIZED=0 turns the check/);
    assert.equal(world.provider.allRequests.length, 0);
  });
});

/** Six hundred connections that say nothing, opened again as soon as they are closed. */
const FLOOD = `
  const { connect } = require('node:net');
  let opened = 0;
  const dial = () => {
    const socket = connect(Number(process.argv[1]), '127.0.0.1', () => ++opened === 300 && console.log('flooding'));
    socket.on('error', () => undefined).on('close', () => setTimeout(dial, 5));
  };
  for (let i = 0; i < 600; i++) dial();
`;

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 });
    const end = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket
      .on('connect', () => end(true))
      .on('error', () => end(false))
      .on('timeout', () => end(false));
  });
}

/** One request, as fast as it can be made. @returns the beginning of the answer */
function knock({ hostname, port, host }: URL, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once('data', (chunk: Buffer) => {
      socket.destroy();
      resolve(chunk.toString('latin1'));
    });
    socket.on('error', reject);
    socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  });
}
