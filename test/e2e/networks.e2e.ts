/** The program behind a proxy, at a provider that only a private authority vouches for and no name service knows. */
import assert from 'node:assert/strict';
import { createCertificate, type ServerCertificate } from '../support/certificates.ts';
import { spawnCms } from '../support/environment.ts';
import { type Finished, run } from '../support/processes.ts';
import { CMS_PROGRAM } from '../support/environment.ts';
import { ENDPOINT } from '../support/provider.ts';
import { type ProxyServer, startProxy } from '../support/proxy.ts';
import { startTlsFront, type TlsFront } from '../support/tls-front.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const HOST = 'login.company.test';
const PASSWORD = 'proxy-password-of-jane';

describe('a provider behind a proxy and a private authority', function () {
  this.timeout(60_000);
  let world: World;
  let front: TlsFront;
  let proxy: ProxyServer;
  let authority: ServerCertificate;

  before(async () => {
    authority = await createCertificate({ names: [HOST] });
  });
  beforeEach(async () => {
    world = await startWorld();
    front = await startTlsFront(world.provider.issuer, authority);
    proxy = await startProxy({ credentials: `jane:${PASSWORD}` });
  });
  afterEach(async () => {
    await proxy.stop();
    await front[Symbol.asyncDispose]();
    await world[Symbol.asyncDispose]();
  });

  const proxied = (credentials = `jane:${PASSWORD}@`) => ({
    ...world.env,
    HTTPS_PROXY: `http://${credentials}127.0.0.1:${proxy.port}`,
    CMS_TEST_LOGIN: JANE,
  });
  const cms = (env: Record<string, string | undefined>, ...argv: string[]): Promise<Finished> =>
    run(process.execPath, [CMS_PROGRAM, ...argv], { env });
  const add = (env: Record<string, string | undefined>, ...more: string[]): Promise<Finished> => {
    const mail = world.serverFlags.slice(world.serverFlags.indexOf('--client-id'));
    const endpoints = [
      ...['--authorization-endpoint', world.provider.issuer + ENDPOINT.authorization],
      ...['--token-endpoint', `https://${HOST}:${front.port}${ENDPOINT.token}`],
    ];
    return cms(env, 'account', 'add', JANE, ...endpoints, ...mail, '--yes', ...more);
  };

  it('is signed in at, refreshed, and served by the broker', async () => {
    const added = await add(proxied(), '--ca-file', authority.caFile);
    assert.equal(added.status, 0, added.stderr);
    assert.deepEqual(front.requests, [ENDPOINT.token]);
    assert.deepEqual([...new Set(proxy.asked)], [`${HOST}:${front.port}`], 'mail servers on loopback are not proxied');
    const refreshed = await cms(proxied(), 'token', JANE, '--force-refresh');
    assert.equal(refreshed.status, 0, refreshed.stderr);
    assert.equal(front.requests.length, 2);
    await using broker = spawnCms(['serve', '--log-level', 'trace'], { env: proxied() });
    await broker.waitFor(/listening/);
    const served = await cms(world.env, 'token', JANE, '--force-refresh');
    assert.equal(served.status, 0, served.stderr);
    assert.equal(front.requests.length, 3, 'the broker went through its own proxy, whoever asked');
    assert.notEqual(served.stdout, refreshed.stdout);
    for (const said of [added, refreshed, served, broker]) {
      assert.ok(!`${said.stdout}${said.stderr}`.includes(PASSWORD), 'the password of the proxy is said nowhere');
    }
  });

  it('is not signed in at without its authority, and the flag is named', async () => {
    const { status, stderr } = await add(proxied());
    assert.equal(status, 75, stderr);
    assert.match(stderr, /certificate/);
    assert.match(stderr, /--ca-file/);
    assert.deepEqual(front.requests, []);
    assert.equal((await cms(world.env, 'account', 'list', '--json')).stdout.trim(), '[]');
  });

  it('is not reached past a proxy that wants other credentials, which is said', async () => {
    const { status, stderr } = await add(proxied('jane:wrong-password@'), '--ca-file', authority.caFile);
    assert.equal(status, 75, stderr);
    assert.match(stderr, /proxy.*407/);
    assert.ok(!stderr.includes('wrong-password'));
    assert.deepEqual(front.requests, []);
  });

  it('is looked for without the proxy where NO_PROXY says so', async () => {
    const env = { ...proxied(), NO_PROXY: '.company.test' };
    const { status, stderr } = await add(env, '--ca-file', authority.caFile);
    assert.equal(status, 75, stderr);
    assert.match(stderr, /no such host|DNS/);
    assert.deepEqual(proxy.asked, []);
  });
});
