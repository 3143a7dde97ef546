/**
 * Every command, every way to sign in, every failure that a provider can cause while it repeats what it was sent; and
 * then the search for what was secret in it: tokens, codes, verifiers, client secrets, the app password, the vault key.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesBelow, formsOf, leaks, type Place, ProcessWatch } from '../support/canary.ts';
import { spawnCms } from '../support/environment.ts';
import { approveDevice, signInForCallbackUrl } from '../support/person.ts';
import type { RunningProcess } from '../support/processes.ts';
import { CONFIDENTIAL_CLIENT, ENDPOINT, type Fault } from '../support/provider.ts';
import { talk } from '../support/wire.ts';
import { startWorld, type World } from '../support/world.ts';

const [JANE, BOB, CARL, DORA, PAT] = ['jane', 'bob', 'carl', 'dora', 'pat'].map((name) => `${name}@example.org`) as [
  string,
  string,
  string,
  string,
  string,
];
const APP_PASSWORD = 'wxyz abcd/efgh+ijkl';

/** A provider that repeats everything it was sent, in all the forms in which it came or could be written. */
const echo =
  (status: number, error: string, asPage = false): Fault =>
  ({ parameters, headers }) => {
    const sent = [...parameters.values()];
    const words = [
      parameters.toString(),
      headers.authorization ?? '',
      ...sent,
      ...sent.map((value) => Buffer.from(value).toString('base64')),
      ...sent.map((value) => Buffer.from(`a:${value}`).toString('base64url')),
      ...sent.map((value) => Buffer.from(value).toString('hex')),
    ].join(' ');
    const body = asPage
      ? `<html>${words}</html>`
      : JSON.stringify({ error, error_description: words, error_uri: words });
    return { status, headers: { 'content-type': asPage ? 'text/html' : 'application/json' }, body };
  };

const ECHOES: [number, string, boolean?][] = [
  [400, 'invalid_grant'],
  [401, 'invalid_client'],
  [400, 'something_else'],
  [500, 'server_error'],
  [200, '-', true],
  [503, '-', true],
];

describe('secrets', function () {
  this.timeout(180_000);
  let world: World;
  let watch: ProcessWatch;
  /** Outside of what is searched: what the person holds in hand. */
  let hand: string;
  const said: Place[] = [];
  /** The intended output, to see that the search would find something. */
  const given: Place[] = [];

  async function cms(...argv: string[]): Promise<string> {
    const { stdout, stderr } = await world.cms(...argv);
    const name = `cms ${argv.join(' ')}`;
    said.push({ name: `${name} (stderr)`, text: stderr });
    (argv[0] === 'token' ? given : said).push({ name: `${name} (stdout)`, text: stdout });
    return stdout;
  }

  function begin(...argv: string[]): RunningProcess {
    const begun = spawnCms(argv, { env: world.env });
    void begun.exited.then(() => said.push({ name: argv.join(' '), text: begun.stdout + begun.stderr }));
    return begun;
  }

  const hold = (name: string, text: string): string => {
    const path = join(hand, name);
    writeFileSync(path, `${text}\n`, { mode: 0o600 });
    return path;
  };
  const add = (address: string, ...flags: string[]): string[] => [
    ...['account', 'add', address, ...world.serverFlags, '--no-test'],
    ...flags,
  ];
  const addAs = (address: string, { clientId, clientSecret }: { clientId: string; clientSecret: string }): string[] => [
    ...['account', 'add', address],
    ...world.serverFlags.map((flag) => (flag === world.provider.clientId ? clientId : flag)),
    ...['--client-secret-file', hold(clientId, clientSecret)],
  ];

  before(async () => {
    world = await startWorld();
    world.env.CMS_DEBUG = '1';
    hand = mkdtempSync(join(tmpdir(), 'cms-hand-'));
    watch = new ProcessWatch(world.home.path);
  });
  after(async () => {
    watch[Symbol.dispose]();
    rmSync(hand, { recursive: true, force: true });
    await world[Symbol.asyncDispose]();
  });

  async function signInInEveryWay(): Promise<void> {
    world.env.CMS_TEST_LOGIN = JANE;
    await cms(...addAs(JANE, CONFIDENTIAL_CLIENT));
    const device = begin(...add(CARL, '--flow', 'device'));
    const [, uri = '', code = ''] = await device.waitFor(/^(http\S+\/device)\n([A-Z0-9-]{6,})$/m);
    const manual = begin(...add(DORA, '--flow', 'manual'));
    const [url] = await manual.waitFor(/^http\S+$/m);
    await Promise.all([
      approveDevice(uri, code, { login: CARL }).then(() => device.exited),
      signInForCallbackUrl(url, { login: DORA }).then((callback) => (manual.write(`${callback}\n`), manual.exited)),
    ]);
    world.env.CMS_TEST_LOGIN = BOB;
    await cms(...add(BOB, '--json'));
    const password = [
      '--password-file',
      hold('password', APP_PASSWORD),
      '--smtp-host',
      'localhost',
      '--imap-host',
      'localhost',
    ];
    await cms('account', 'add', PAT, ...password, '--no-test');
    assert.equal((JSON.parse(await cms('account', 'list', '--json')) as unknown[]).length, 5);
  }

  async function failToSignIn(): Promise<void> {
    world.env.CMS_TEST_LOGIN = JANE;
    for (const parameters of ECHOES.slice(1, 4)) {
      world.provider.setFault(echo(...parameters));
      await cms(...addAs(JANE, CONFIDENTIAL_CLIENT), '--no-test');
    }
    world.provider.setFault(undefined);
  }

  /** Without a broker, then with one in each format. */
  async function askForTokens(): Promise<void> {
    const outputs = ['token', 'xoauth2-b64', 'oauthbearer', 'json'];
    await Promise.all([
      ...outputs.map((output) => cms('token', JANE, '--output', output)),
      cms('token', PAT, '--output', 'password'),
      cms('token', PAT),
    ]);
    for (const [index, parameters] of ECHOES.entries()) {
      world.provider.setFault(echo(...parameters));
      await cms('token', index % 2 === 0 ? BOB : CARL, '--force-refresh', ...(index === 0 ? ['--json'] : []));
    }
    world.provider.setFault(undefined);
    await cms('status', '--json');
    for (const format of ['pretty', 'json']) {
      const broker = begin('serve', '--log-level', 'trace', '--log-format', format);
      await broker.waitFor(/cms\.sock/);
      await useBroker(join(world.home.runtimeDir, 'cms.sock'));
      await broker.stop();
    }
  }

  async function useBroker(socket: string): Promise<void> {
    const served = async (line: string): Promise<void> =>
      void given.push({ name: line, text: await talk(socket, `${line}\n`) });
    for (const form of ['', ',token', ',xoauth2-b64', ',oauthbearer', ',json']) await served(`SMTP${form} ${JANE}`);
    await served(`SMTP,password ${PAT}`);
    for (const parameters of ECHOES) {
      world.provider.setFault(echo(...parameters));
      for (const line of [`REFRESH ${JANE}`, `SMTP,ready ${BOB}`, `SMTP,refused ${DORA}`, 'STATUS', 'SMTP nonsense']) {
        said.push({ name: line, text: await talk(socket, `${line}\n`) });
      }
    }
    world.provider.setFault(undefined);
    said.push({ name: 'REFRESH', text: await talk(socket, `REFRESH ${CARL}\n`) });
    await cms('token', JANE, '--force-refresh');
    await cms('status');
    await cms('status', '--log', '--json');
  }

  async function theOtherCommands(): Promise<void> {
    await Promise.all([
      cms('account', 'show', JANE),
      cms('account', 'show', JANE, '--json'),
      cms('account', 'list'),
      cms('account', 'test', JANE, '--json'),
      cms('account', 'test', BOB, '--send', '--admin-mail'),
      cms('account', 'test', PAT),
      cms('doctor'),
      cms('doctor', JANE, '--json'),
      cms('unlock'),
      cms('completion', 'bash'),
      cms('exim-config'),
      cms('exim-config', '--section', 'smart-hosts'),
      cms('exim-config', '--write', join(world.home.path, 'exim')),
      cms('service', 'install', '--dry-run'),
      cms('service', 'status', '--json'),
      cms('service', 'uninstall', '--dry-run'),
    ]);
    await Promise.all([cms('store', 'move', 'file'), cms('account', 'show', 'nobody@example.org'), cms('nonsense')]);
    await cms('store', 'move', 'keyring');
    world.provider.setFault(echo(400, 'invalid_request'), ENDPOINT.revocation);
    await cms('account', 'remove', DORA, '--yes');
    world.provider.setFault(undefined, ENDPOINT.revocation);
    await cms('account', 'remove', CARL, '--yes');
  }

  /** What was secret in all this, by name. */
  function secrets(): Map<string, string> {
    const { allRequests, issuedTokens } = world.provider;
    const names = ['code', 'code_verifier', 'client_secret', 'device_code', 'refresh_token', 'token'];
    const sent = allRequests.flatMap(({ parameters }) => names.map((name) => [name, parameters.get(name)] as const));
    const shown = allRequests.map(({ headers }) => ['header', headers.authorization?.replace(/^\S+ /, '')] as const);
    const key = readFileSync(join(world.home.configDir, 'vault.key'), 'utf8').trim();
    const all = [
      ...issuedTokens.map((token) => ['issued', token] as const),
      ...sent,
      ...shown,
      ['app password', APP_PASSWORD] as const,
      ['client_secret', CONFIDENTIAL_CLIENT.clientSecret] as const,
      ['vault key', key] as const,
      ['vault key', Buffer.from(key, 'base64').toString('hex')] as const,
    ];
    return new Map(all.flatMap(([name, secret]) => (secret ? [[secret, name]] : [])));
  }

  it('come out where they are asked for, and nowhere else', async () => {
    await signInInEveryWay();
    await askForTokens();
    await failToSignIn();
    await theOtherCommands();
    const known = secrets();
    const kinds = ['code', 'code_verifier', 'client_secret', 'device_code', 'refresh_token', 'token', 'issued'];
    for (const kind of [...kinds, 'vault key']) assert.ok([...known.values()].includes(kind), `no ${kind} was seen`);
    assert.ok(leaks(given, known.keys()).length >= 15, 'the search finds what was asked for');
    assert.ok(watch.places.length > 10, 'processes were seen');

    const open = known.keys();
    assert.deepEqual(leaks(said, open), []);
    assert.deepEqual(leaks(watch.places, known.keys()), []);
    const files = filesBelow(world.home.path);
    assert.ok(
      files.some(({ name }) => name.endsWith('.sealed')) && files.some(({ name }) => name.endsWith('audit.jsonl')),
    );
    assert.deepEqual(
      leaks(
        files.filter(({ name }) => !name.endsWith('/config/vault.key')),
        known.keys(),
      ),
      [],
    );
    // The provider's words came through, without what it repeated.
    assert.ok(said.some(({ text }) => text.includes('[secret]')));
  });

  it('are looked for in every form', () => {
    for (const form of [
      (secret: string) => Buffer.from(`user=x\x01auth=Bearer ${secret}\x01\x01`).toString('base64'),
      (secret: string) => Buffer.from(`id:${secret}`).toString('base64url'),
      (secret: string) => encodeURIComponent(secret),
      (secret: string) => Buffer.from(secret).toString('hex'),
    ]) {
      const secret = 'a/b+c=d-the-secret-itself';
      assert.equal(leaks([{ name: 'x', text: form(secret) }], [secret]).length > 0, true);
    }
    assert.ok(formsOf('abcdefgh').every((form) => form.length >= 8));
  });
});
