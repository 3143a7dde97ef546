/** `cms account add`, `list`, `show`, `remove` as users run them: the built program against real servers. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCms, spawnCms } from '../support/environment.ts';
import { approveDevice, signIn, signInForCallbackUrl } from '../support/person.ts';
import { type Finished, run, type RunningProcess } from '../support/processes.ts';
import { CONFIDENTIAL_CLIENT, ENDPOINT, faults } from '../support/provider.ts';
import { requires } from '../support/requirements.ts';
import { ImapServer, startImap } from '../support/imap.ts';
import { type PopServer, startPop } from '../support/pop.ts';
import { startSubmission } from '../support/submission.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';

describe('cms account', function () {
  this.timeout(40_000);
  let world: World;

  beforeEach(async () => {
    world = await startWorld();
  });

  afterEach(async () => {
    await world[Symbol.asyncDispose]();
  });

  /** The flags of the servers, with another client. */
  const flagsOf = (clientId: string): string[] =>
    world.serverFlags.map((flag) => (flag === world.provider.clientId ? clientId : flag));

  /** `account add` that waits for a person; `flags` come after those of the servers. */
  const startAdd = (...flags: string[]): RunningProcess =>
    spawnCms(['account', 'add', JANE, ...world.serverFlags, ...flags], { env: world.env });

  const urlOf = async (adding: RunningProcess): Promise<string> =>
    (await adding.waitFor(/^(http:\/\/127\.0\.0\.1:\d+\/auth\?\S+)$/m, { stream: 'stderr' }))[1]!;

  const sealedText = async (): Promise<string> => {
    const folder = join(world.home.stateDir, 'vault');
    return (await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')))).join();
  };
  const accountsText = (): Promise<string> => readFile(join(world.home.configDir, 'accounts.json'), 'utf8');
  const stored = async (): Promise<Record<string, Record<string, unknown>>> =>
    (JSON.parse(await accountsText()) as { accounts: Record<string, Record<string, unknown>> }).accounts;

  /** One sentence, what mends it, the status, and nothing on stdout. */
  function assertFailure(finished: Finished, status: number, sentence: RegExp, mend?: RegExp): void {
    const [first = '', ...rest] = finished.stderr.split('\n').filter((line) => line.startsWith('cms: '));
    assert.equal(finished.status, status, finished.stderr);
    assert.match(first, /^cms: error: /);
    assert.match(first, sentence);
    assert.equal(finished.stdout, '');
    assert.doesNotMatch(finished.stderr, /^\s+at /m);
    assert.ok(
      rest.every((line) => line.startsWith('cms: try: ')),
      finished.stderr,
    );
    if (mend) assert.match(rest.join('\n'), mend);
  }

  async function assertNothingStored(): Promise<void> {
    const { accounts } = JSON.parse(await accountsText().catch(() => '{"accounts":{}}')) as { accounts: object };
    assert.deepEqual(accounts, {});
    const sealed = await readdir(join(world.home.stateDir, 'vault')).catch(() => []);
    assert.deepEqual(sealed, []);
  }

  const expectToken = async (): Promise<string> => {
    const { status, stdout, stderr } = await world.cms('token', JANE);
    assert.deepEqual([status, stderr], [0, ''], stderr);
    const token = stdout.trim();
    assert.equal((await world.provider.introspect(token)).active, true);
    return token;
  };

  describe('add', () => {
    it('signs in with the browser, logs in at both servers, and leaves no secret in the open', async () => {
      const added = await world.add(JANE);
      assert.equal(added.status, 0, added.stderr);
      assert.match(
        added.stderr,
        /^note: the consent page will show the name that the client was given at 127\.0\.0\.1:\d+$/m,
      );
      assert.match(added.stderr, /signed in as jane@example\.org/);
      assert.match(added.stderr, /SMTP localhost:\d+: login as jane@example\.org accepted/);
      assert.match(added.stderr, /IMAP localhost:\d+: login as jane@example\.org accepted/);
      const token = await expectToken();
      const [authorization] = world.provider.allRequests.filter(({ path }) => path === ENDPOINT.authorization);
      assert.ok(authorization);
      const exchange = world.provider.requests.find(({ grantType }) => grantType === 'authorization_code');
      const secrets = [token, exchange?.parameters.get('code') ?? '', exchange?.parameters.get('code_verifier') ?? ''];
      const listed = await world.cms('account', 'list', '--json');
      const shown = await world.cms('account', 'show', JANE);
      const outputs = [added, listed, shown].map(({ stdout, stderr }) => stdout + stderr);
      assertNoSecret([...outputs, ...(await filesBelow(world.home.path))], secrets);
      for (const folder of [world.home.configDir, world.home.stateDir, join(world.home.stateDir, 'vault')]) {
        assert.equal((await stat(folder)).mode & 0o077, 0, folder);
      }
      assert.equal((await stat(join(world.home.configDir, 'accounts.json'))).mode & 0o777, 0o600);
    });

    it('asks for consent, offline access, PKCE with S256, state and nonce', async () => {
      const adding = startAdd('--no-browser', '--no-test');
      const { searchParams } = new URL(await urlOf(adding));
      await adding.stop();
      assert.equal(searchParams.get('prompt'), 'consent');
      assert.match(searchParams.get('scope') ?? '', /offline_access/);
      assert.equal(searchParams.get('code_challenge_method'), 'S256');
      assert.equal(searchParams.get('code_challenge')?.length, 43);
      for (const name of ['state', 'nonce']) assert.ok((searchParams.get(name)?.length ?? 0) >= 43, name);
      assert.match(searchParams.get('redirect_uri') ?? '', /^http:\/\/127\.0\.0\.1:\d+\/$/);
    });

    it('prints the URL alone on a line with --no-browser and survives callbacks that are not its own', async () => {
      const adding = startAdd('--no-browser', '--no-test', '--json');
      const url = await urlOf(adding);
      const state = new URL(url).searchParams.get('state')!;
      const redirect = new URL(new URL(url).searchParams.get('redirect_uri')!);
      const at = (query: string, init: RequestInit = {}): Promise<number> =>
        fetch(`${redirect.href}?${query}`, init).then(({ status }) => status);
      assert.equal(await at('code=x&state=wrong'), 403);
      assert.equal(await at('error=access_denied'), 403);
      assert.equal(await at(`error=access_denied&state=${state}&state=${state}`), 403);
      assert.equal(await at(`error=access_denied&state=${state}`, { method: 'POST' }), 405);
      assert.equal(await fetch(`${redirect.href}favicon.ico`).then(({ status }) => status), 404);
      const byName = `http://localhost:${redirect.port}/?error=access_denied&state=${state}`;
      assert.equal(await fetch(byName).then(({ status }) => status), 403);
      const page = await signIn(url, { login: JANE });
      assert.equal(page.status, 200);
      assert.match(page.body, /Signed in as jane@example\.org/);
      const { status } = await adding.exited;
      assert.equal(status, 0, adding.stderr);
      assert.equal((JSON.parse(adding.stdout) as { address: string }).address, JANE);
      await assert.rejects(fetch(redirect.href), 'the port is closed');
    });

    it('shows the code of the device flow, slows down when asked to, and stores', async () => {
      world.provider.setFault(faults.first(1, faults.tokenError('slow_down')));
      const adding = startAdd('--flow', 'device', '--no-test');
      const [, uri, code] = await adding.waitFor(/^(http\S+\/device)\n([A-Z0-9-]{6,})$/m, { stream: 'stderr' });
      await adding.waitFor(/waiting/);
      await approveDevice(uri!, code!, { login: JANE });
      const { status } = await adding.exited;
      assert.equal(status, 0, adding.stderr);
      const [first, second] = world.provider.requests.filter(({ grantType }) => grantType?.endsWith('device_code'));
      assert.ok(second!.receivedAt - first!.receivedAt >= 5900, 'interval of 1 s and 5 s more');
      await expectToken();
    });

    it('goes on asking for a device through what passes, and more rarely', async () => {
      const blips = [
        faults.answer(502, '<html>bad gateway</html>'),
        faults.answer(200, '<html>log in to this network</html>'),
      ];
      let polls = 0;
      world.provider.setFault((request, forward) => blips[polls++]?.(request, forward));
      const adding = startAdd('--flow', 'device', '--no-test');
      const [, uri, code] = await adding.waitFor(/^(http\S+\/device)\n([A-Z0-9-]{6,})$/m, { stream: 'stderr' });
      await approveDevice(uri!, code!, { login: JANE });
      assert.equal((await adding.exited).status, 0, adding.stderr);
      const seen = world.provider.requests.filter(({ grantType }) => grantType?.endsWith('device_code'));
      assert.equal(seen.length, 3);
      assert.ok(seen[2]!.receivedAt - seen[1]!.receivedAt >= 10_900, 'interval of 1 s and twice 5 s more');
      await expectToken();
    });

    it('logs in as the UPN where the server takes nothing else, and keeps that', async () => {
      world.provider.accounts.set(JANE, { email: JANE, preferredUsername: 'jd@example.test' });
      await using server = await startSubmission({
        provider: world.provider,
        delegates: { 'jd@example.test': [JANE] },
      });
      server.refuse(JANE, '535 5.7.3 Authentication unsuccessful');
      const scope = world.serverFlags.map((flag) =>
        flag === String(world.submission.port)
          ? String(server.port)
          : flag.replace('openid email', 'openid email profile'),
      );
      const added = await runCms(['account', 'add', JANE, ...scope, '--protocol', 'smtp'], {
        env: { ...world.env, CMS_TEST_LOGIN: JANE },
      });
      assert.equal(added.status, 0, added.stderr);
      assert.match(added.stderr, /SMTP localhost:\d+: login as jd@example\.test accepted/);
      const { smtp_user, imap_user, login } = (await stored())[JANE]!;
      assert.deepEqual([smtp_user, imap_user, login], ['jd@example.test', JANE, JANE]);
    });

    /** The server of a preset, as no flag names one for POP. */
    async function startMailbox(protocol: 'imap' | 'pop', upn: string): Promise<ImapServer | PopServer> {
      const options = { provider: world.provider, delegates: { [upn]: [JANE] } };
      const server = protocol === 'imap' ? await startImap(options) : await startPop(options);
      await world.home.writeConfig(
        'config.toml',
        `[[provider]]
id = "acme"
issuer = "${world.provider.issuer}"
client_id = "${world.provider.clientId}"
scopes = ["openid", "email", "profile", "offline_access", "mail.${protocol}"]
${protocol} = { host = "localhost", port = ${server.port}, tls = "implicit" }
`,
      );
      return server;
    }

    for (const [protocol, refusals] of [
      ['imap', ['NO [AUTHENTICATIONFAILED] Invalid credentials', ImapServer.NOT_CONNECTED]],
      ['pop', ['-ERR [AUTH] Invalid credentials', '-ERR Logon failure: unknown user name or bad password.']],
    ] as const) {
      it(`logs in over ${protocol} as the UPN where the server takes nothing else, and keeps or names that`, async function () {
        this.timeout(120_000);
        const upn = 'jd@example.test';
        world.provider.accounts.set(JANE, { email: JANE, preferredUsername: upn });
        await using server = await startMailbox(protocol, upn);
        const env = { ...world.env, CMS_TEST_LOGIN: JANE };
        const cms = (...argv: string[]): Promise<Finished> => runCms(argv, { env });
        const add = ['account', 'add', JANE, '--provider', 'acme', '--protocol', protocol];
        for (const refusal of refusals) {
          server.refuse(JANE, refusal);
          const added = await cms(...add);
          assert.equal(added.status, 0, added.stderr);
          const accepted = `${protocol.toUpperCase()} localhost:${server.port}: login as ${upn} accepted`;
          assert.ok(added.stderr.includes(accepted), added.stderr);
          const { smtp_user, imap_user, login } = (await stored())[JANE]!;
          assert.deepEqual([smtp_user, imap_user, login], [JANE, upn, JANE]);
          const tested = await cms('account', 'test', JANE);
          assert.equal(tested.status, 0, tested.stdout);

          // Kept is another name: that is a refusal, with the command.
          assert.equal((await cms(...add, '--no-test', '--imap-user', JANE)).status, 0);
          const other = await cms('account', 'test', JANE);
          assert.equal(other.status, 78, other.stdout);
          assert.match(other.stdout, /the login as jane@example\.org is refused; the server accepts the login as jd@/);
          assert.match(other.stdout, /cms account add jane@example\.org --imap-user jd@example\.test/);
          server.refuse(upn, refusal);
          const none = await cms('account', 'test', JANE);
          assert.ok([77, 78].includes(none.status ?? 0), none.stdout);
          if (refusal !== ImapServer.NOT_CONNECTED)
            assert.match(none.stdout, /--imap-user jd@example\.test   # if that is the user name at the mail server/);
          server.refuse(upn, undefined);
          assert.equal((await cms('account', 'remove', JANE, '--yes')).status, 0);
        }
      });
    }

    it('names the UPN with its command where no name is taken, and calls no other name than the kept one good', async () => {
      const upn = "j.o'neil@example.test";
      world.provider.accounts.set(JANE, { email: JANE, preferredUsername: upn });
      await using server = await startSubmission({ provider: world.provider, delegates: { [upn]: [JANE] } });
      server.refuse('*', '535 5.7.3 Authentication unsuccessful');
      const flags = world.serverFlags.map((flag) =>
        flag === String(world.submission.port)
          ? String(server.port)
          : flag.replace('openid email', 'openid email profile'),
      );
      const env = { ...world.env, CMS_TEST_LOGIN: JANE };
      const added = await runCms(['account', 'add', JANE, ...flags, '--protocol', 'smtp'], { env });
      const command = String.raw`cms account add jane@example.org --smtp-user 'j.o'\''neil@example.test'`;
      assert.equal(added.status, 77, added.stderr);
      assert.ok(added.stderr.includes(command), added.stderr);
      const test = () => runCms(['account', 'test', JANE], { env });
      const refused = await test();
      assert.equal(refused.status, 77, refused.stdout);
      assert.ok(refused.stdout.includes(command), refused.stdout);
      // What exim would log in with is refused still.
      server.refuse('*', undefined);
      server.refuse(JANE, '535 5.7.3 Authentication unsuccessful');
      const other = await test();
      assert.equal(other.status, 78, other.stdout);
      assert.match(other.stdout, /^ {2}login +failed +the login as jane@example\.org is refused; the server accepts /m);
      assert.ok(other.stdout.includes(command), other.stdout);
      const doctor = await runCms(['doctor', '--json'], { env });
      assert.ok(doctor.stdout.includes('the server accepts the login as'), doctor.stdout);
      const again = await runCms(['account', 'add', JANE, '--smtp-user', upn], { env });
      assert.equal(again.status, 0, again.stderr);
      assert.equal((await test()).status, 0);
    });

    it('says at once what was not granted, and replaces no grant that is good for more', async () => {
      const narrow = faults.rewrite((answer) => ({ ...answer, scope: 'openid email offline_access mail.smtp' }));
      world.provider.setFault(narrow);
      const first = await world.add(JANE, '--no-test');
      assert.equal(first.status, 78, first.stderr);
      assert.match(first.stderr, /warning: not granted: mail\.imap \(imap\)\n +do: cms account add jane@example\.org /);
      world.provider.setFault(undefined);
      assert.equal((await world.add(JANE, '--no-test')).status, 0);
      const token = await expectToken();
      world.provider.setFault(narrow);
      assertFailure(await world.add(JANE, '--no-test'), 78, /not granted: mail\.imap \(imap\); the sign-in before, /);
      world.provider.setFault(undefined);
      assert.equal(await expectToken(), token);
    });

    it('says that a device was refused', async () => {
      const adding = startAdd('--flow', 'device');
      const [, uri, code] = await adding.waitFor(/^(http\S+\/device)\n([A-Z0-9-]{6,})$/m, { stream: 'stderr' });
      await approveDevice(uri!, code!, { login: JANE, consent: 'deny' });
      const exit = await adding.exited;
      assertFailure(
        { ...exit, stdout: adding.stdout, stderr: adding.stderr },
        77,
        /refused the sign-in: access_denied/,
      );
      await assertNothingStored();
    });

    it('says that the code of a device has expired, by its own clock', async () => {
      const shortLived = faults.rewrite((answer) => ({ ...answer, expires_in: 1, interval: 1 }));
      world.provider.setFault(shortLived, ENDPOINT.deviceAuthorization);
      const added = await world.add(JANE, '--flow', 'device');
      assertFailure(added, 77, /the code expired/, /cms account add jane@example\.org .*--flow device/);
      await assertNothingStored();
    });

    it('waits for a device although its code is said to live for centuries', async () => {
      const longLived = faults.rewrite((answer) => ({ ...answer, expires_in: 1e10, interval: 1 }));
      world.provider.setFault(longLived, ENDPOINT.deviceAuthorization);
      const adding = startAdd('--flow', 'device', '--no-test');
      const [, uri, code] = await adding.waitFor(/^(http\S+\/device)\n([A-Z0-9-]{6,})$/m, { stream: 'stderr' });
      await approveDevice(uri!, code!, { login: JANE });
      assert.equal((await adding.exited).status, 0, adding.stderr);
    });

    it('shows no code that would steer the terminal', async () => {
      const hostile = faults.rewrite((answer) => ({ ...answer, user_code: '\x1b[2Jhello' }));
      world.provider.setFault(hostile, ENDPOINT.deviceAuthorization);
      const added = await world.add(JANE, '--flow', 'device');
      assertFailure(added, 76, /cannot be shown/);
      assert.ok(!added.stderr.includes('\x1b'));
    });

    for (const [what, change] of [
      ['of another server', { iss: 'https://evil.example' }],
      ['of nobody', { iss: undefined }],
    ] as const) {
      it(`sends the code of an answer ${what} nowhere`, async () => {
        const adding = startAdd('--no-browser', '--no-test');
        const url = await urlOf(adding);
        const callback = new URL(await signInForCallbackUrl(url, { login: JANE }));
        if (change.iss === undefined) callback.searchParams.delete('iss');
        else callback.searchParams.set('iss', change.iss);
        assert.equal((await fetch(callback)).status, 400);
        const exit = await adding.exited;
        assertFailure(
          { ...exit, stdout: adding.stdout, stderr: adding.stderr },
          76,
          /the provider's answer was refused/,
        );
        assert.equal(world.provider.count(), 0);
        await assertNothingStored();
      });
    }

    for (const [what, paste] of [
      ['the address', (url: string) => url],
      ['the code alone', (url: string) => new URL(url).searchParams.get('code')!],
      ['the address without its scheme', (url: string) => url.replace('http://', '')],
    ] as const) {
      it(`takes ${what} from standard input in the manual flow`, async () => {
        const adding = startAdd('--flow', 'manual', '--no-test');
        const url = await urlOf(adding);
        adding.write(`${paste(await signInForCallbackUrl(url, { login: JANE }))}\n`);
        const { status } = await adding.exited;
        assert.equal(status, 0, adding.stderr);
        await expectToken();
      });
    }

    it('refuses what was pasted from another sign-in, and empty input', async () => {
      const foreign = await world.cms('account', 'add', JANE, ...world.serverFlags, '--flow', 'manual');
      assertFailure(foreign, 64, /standard input is empty/);
      const adding = startAdd('--flow', 'manual');
      await urlOf(adding);
      adding.write('http://127.0.0.1:49151/?code=abcdef&state=another\n');
      const exit = await adding.exited;
      assertFailure({ ...exit, stdout: adding.stdout, stderr: adding.stderr }, 76, /belongs to another sign-in/);
      assert.equal(world.provider.count(), 0, 'the code went nowhere');
      await assertNothingStored();
    });

    it('says what a code is not that the provider does not know, and keeps the flags', async () => {
      const adding = startAdd('--flow', 'manual');
      await urlOf(adding);
      adding.write(`${'x'.repeat(43)}\n`);
      const exit = await adding.exited;
      const failed = { ...exit, stdout: adding.stdout, stderr: adding.stderr };
      assertFailure(failed, 77, /no code of this sign-in/, /cms account add jane@example\.org .*--flow manual/);
      await assertNothingStored();
    });

    it('stores nothing without a refresh token', async () => {
      world.provider.setFault(faults.rewrite(({ refresh_token: _taken, ...answer }) => answer));
      const added = await world.add(JANE);
      assertFailure(added, 77, /no refresh token/, /offline_access/);
      await assertNothingStored();
    });

    it('stores nothing when the person declines', async () => {
      world.env.CMS_TEST_CONSENT = 'deny';
      const added = await world.add(JANE);
      assertFailure(added, 77, /access_denied/, /and allow the access/);
      await assertNothingStored();
    });

    it('writes the mail to the administrator where only one can allow it', async () => {
      const words = 'AADSTS90094: The grant requires administrator permission.';
      world.provider.setFault(faults.tokenError('access_denied', words));
      const added = await world.add(JANE);
      assertFailure(added, 77, /AADSTS90094/, /cms: try: .*adminconsent/);
      const text = /^A mail to the administrator.*\n\n(Subject: [^]*)$/m.exec(added.stderr)?.[1] ?? '';
      assert.match(text, /^Subject: .*\n\nHello,\n[^]*AADSTS90094: The grant/);
      const { admin_mail: mail } = JSON.parse((await world.add(JANE, '--json')).stderr.split('\n').at(-2) ?? '') as {
        admin_mail: { subject: string; body: string };
      };
      assert.equal(`Subject: ${mail.subject}\n\n${mail.body}`.trim(), text.trim());
      await assertNothingStored();
    });

    it('has the same mail for a login that an administrator switched off', async () => {
      world.submission.refuse(
        '*',
        '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.',
      );
      const { stderr } = await world.add(JANE);
      assert.match(stderr, /^ {2}do: cms account test jane@example\.org --admin-mail /m);
      const { login_test: tests } = JSON.parse((await world.add(JANE, '--json')).stdout) as {
        login_test: { protocol: string; explanation?: { admin?: object; admin_mail?: { subject: string } } }[];
      };
      const { explanation } = tests.find(({ protocol }) => protocol === 'smtp') ?? {};
      assert.match(explanation?.admin_mail?.subject ?? '', /SMTP/);
      assert.equal(explanation?.admin, undefined);
    });

    it('names the client where the provider does not know it', async () => {
      const { clientId } = CONFIDENTIAL_CLIENT;
      const file = await world.home.writeConfig('wrong-secret', 'not the secret\n');
      world.env.CMS_TEST_LOGIN = JANE;
      const added = await world.cms('account', 'add', JANE, ...flagsOf(clientId), '--client-secret-file', file);
      assertFailure(added, 78, /invalid_client/, /--client-id/);
      assert.ok(!added.stderr.includes('not the secret'));
      await assertNothingStored();
    });

    it('signs in as a client with a secret, which then stands sealed only and is kept at the next sign-in', async () => {
      const { clientId, clientSecret } = CONFIDENTIAL_CLIENT;
      const file = join(world.home.path, 'secret');
      await writeFile(file, `${clientSecret}\n`);
      world.env.CMS_TEST_LOGIN = JANE;
      const flags = [...flagsOf(clientId), '--client-secret-file', file, '--no-test'];
      const added = await world.cms('account', 'add', JANE, ...flags);
      assert.equal(added.status, 0, added.stderr);
      await writeFile(file, '');
      assertNoSecret([added.stderr, ...(await filesBelow(world.home.path))], [clientSecret]);
      const again = await world.cms('account', 'add', JANE, '--no-test');
      assert.equal(again.status, 0, again.stderr);
      const refreshed = await world.cms('token', JANE, '--force-refresh');
      assert.equal(refreshed.status, 0, refreshed.stderr);
    });

    it('stores nothing of another person who signed in, and says how to mean it', async () => {
      world.env.CMS_TEST_LOGIN = 'eve@example.org';
      const added = await world.add(JANE);
      assertFailure(added, 77, /eve@example\.org signed in, not jane@example\.org/, /--login eve@example\.org/);
      await assertNothingStored();
      assert.equal(world.provider.allRequests.filter(({ path }) => path === ENDPOINT.revocation).length, 0);
    });

    it('finds the user name of a delegate by the login test', async () => {
      world.env.CMS_TEST_LOGIN = 'boss@example.org';
      const added = await world.add(
        JANE,
        '--login',
        'boss@example.org',
        '--alias',
        'Team@Example.org',
        '--alias',
        '@x.org',
      );
      assert.equal(added.status, 0, added.stderr);
      const { login, smtp_user, imap_user, aliases } = (await stored())[JANE]!;
      assert.deepEqual([login, smtp_user, imap_user], ['boss@example.org', 'boss@example.org', 'boss@example.org']);
      assert.deepEqual(aliases, ['team@example.org', '@x.org']);
      const byAlias = await world.cms('token', 'anyone@x.org', '-o', 'xoauth2');
      assert.match(byAlias.stdout, /^user=boss@example\.org\x01auth=Bearer /);
    });

    it('reports a refused login test, keeps the account, and ends with the status that account test has', async () => {
      world.submission.refuse('*', '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled');
      const added = await world.add(JANE);
      assert.equal(added.status, 77, added.stderr);
      assert.equal((await world.cms('account', 'test', JANE)).status, 77);
      assert.match(added.stderr, /SMTP login failed: .*5\.7\.139/);
      assert.match(added.stderr, /The account is kept/);
      await expectToken();
    });

    it('adds an account with an app password and hands it out on request only', async () => {
      const server = await startSubmission({ provider: world.provider, passwords: { [JANE]: 'app password 1' } });
      const file = join(world.home.path, 'app-password');
      await writeFile(file, 'app password 1\n');
      const smtp = ['--smtp-host', 'localhost', '--smtp-port', String(server.port), '--protocol', 'smtp'];
      const added = await world.cms('account', 'add', JANE, '--password-file', file, ...smtp, '--provider', 'custom');
      await server.stop();
      await writeFile(file, '');
      assert.equal(added.status, 0, added.stderr);
      assert.match(added.stderr, /login as jane@example\.org accepted/);
      assertNoSecret([added.stderr, ...(await filesBelow(world.home.path))], ['app password 1']);
      assert.equal((await world.cms('token', JANE, '-o', 'password')).stdout, 'app password 1\n');
      assertFailure(await world.cms('token', JANE), 78, /app password/, /--output password/);
    });

    it('takes a password from a pipe of the shell, which leaves it in no file', async function () {
      requires(this, 'bash');
      const command = 'exec "$0" bin/run.js account add "$@" --password-file <(printf "%s\\n" "app password 1")';
      const servers = ['--smtp-host', 'localhost', '--protocol', 'smtp', '--provider', 'custom', '--no-test'];
      const argv = ['-c', command, process.execPath, JANE, ...servers];
      const added = await run('bash', argv, { env: world.env });
      assert.equal(added.status, 0, added.stderr);
      assert.equal((await world.cms('token', JANE, '-o', 'password')).stdout, 'app password 1\n');
    });

    it('signs in anew and keeps everything else', async () => {
      const first = await world.add(JANE, '--alias', 'team@example.org', '--smtp-user', 'sales', '--no-test');
      assert.equal(first.status, 0, first.stderr);
      const before = await stored();
      const again = await runCms(['account', 'add', JANE, '--no-test'], {
        env: { ...world.env, CMS_TEST_LOGIN: JANE },
      });
      assert.equal(again.status, 0, again.stderr);
      assert.deepEqual(await stored(), before);
      await expectToken();
    });

    it('loses nothing of an account whose new sign-in fails', async () => {
      await world.add(JANE, '--no-test');
      const before = await accountsText();
      world.env.CMS_TEST_CONSENT = 'deny';
      assert.equal((await world.add(JANE, '--alias', 'team@example.org')).status, 77);
      assert.equal(await accountsText(), before);
      await expectToken();
    });

    it('calls a provider that is down, or answers pages, a temporary failure', async () => {
      world.provider.setFault(faults.answer(200, '<html>please log in to the hotel</html>'));
      assertFailure(await world.add(JANE), 75, /a web page instead of JSON/);
      world.provider.setFault(faults.answer(503, '<html>down</html>'));
      assertFailure(await world.add(JANE), 75, /answered 503/);
      world.provider.setFault(faults.reset);
      assertFailure(await world.add(JANE), 75, /cannot reach 127\.0\.0\.1/);
      world.provider.setFault(undefined);
      world.provider.setFault(faults.answer(502, '<html>down</html>'), ENDPOINT.deviceAuthorization);
      assertFailure(await world.add(JANE, '--flow', 'device'), 75, /answered 502/);
      world.provider.setFault(faults.answer(503, '<html>down</html>'), ENDPOINT.discovery);
      assertFailure(await world.add(JANE), 75, /answered 503/);
      await world.provider.pause();
      assertFailure(await world.add(JANE), 75, /connection refused/, /check the network/);
      await assertNothingStored();
    });

    for (const [where, endpoint, flags] of [
      ['exchanges the code', ENDPOINT.token, []],
      ['is asked for its metadata', ENDPOINT.discovery, []],
      ['is asked for a device code', ENDPOINT.deviceAuthorization, ['--flow', 'device']],
    ] as const) {
      it(`says how to try again where the provider is not well when it ${where}, and leaves nothing`, async function () {
        this.timeout(120_000);
        for (const [fault, sentence, when] of [
          [
            faults.answer(503, { error: 'temporarily_unavailable' }),
            /answered 503|temporarily_unavailable/,
            /again later/,
          ],
          [faults.answer(503, '', { 'retry-after': '30' }), /answered 503/, /30 s/],
          [faults.answer(429, 'slow down', { 'retry-after': '300' }), /answered 429/, /5 min/],
          [
            faults.answer(429, { error: 'slow_down' }),
            /answered 429|slow_down/,
            /again (?:later|in a quarter of an hour)/,
          ],
          [faults.answer(500, 'Internal Server Error'), /answered 500/, /again later/],
          [faults.reset, /cannot reach 127\.0\.0\.1/, /check the network, then again/],
          [faults.dropResponse, /cannot reach 127\.0\.0\.1/, /check the network, then again/],
          [faults.hang, /no answer within 10 s/, /again/],
        ] as const) {
          world.provider.setFault(fault, endpoint);
          const added = await world.add(JANE, ...flags);
          world.provider.setFault(undefined, endpoint);
          const command = new RegExp(
            `^cms: try: cms account add jane@example\\.org --issuer \\S+ --client-id .*   # .*${when.source}`,
            'm',
          );
          assertFailure(added, 75, sentence, command);
          await assertNothingStored();
        }
      });
    }

    it('follows no redirect of the token endpoint', async () => {
      let visits = 0;
      const thief = createServer((_request, response) => response.end(String(++visits)));
      await new Promise<void>((resolve) => thief.listen(0, '127.0.0.1', resolve));
      const { port } = thief.address() as AddressInfo;
      world.provider.setFault(faults.answer(307, '', { location: `http://127.0.0.1:${port}/token` }));
      assertFailure(await world.add(JANE), 75, /answered 307/);
      thief.close();
      assert.equal(visits, 0);
    });

    it('sends nothing in clear text to another machine', async () => {
      const flags = ['--token-endpoint', 'http://mail.example.org/token', '--client-id', 'x'];
      assertFailure(await world.cms('account', 'add', JANE, ...flags), 78, /plain http/, /https:/);
      assertFailure(
        await world.cms('account', 'add', JANE, '--issuer', 'http://x.example', '--client-id', 'x'),
        78,
        /plain http/,
      );
    });

    it('refuses to work where certificates are not verified', async () => {
      world.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
      assertFailure(await world.add(JANE), 78, /NODE_TLS_REJECT_UNAUTHORIZED/, /unset/);
    });

    it('leaves accounts.json of a newer version, or one it cannot read, as it is', async () => {
      for (const [content, says, cure] of [
        ['{"version":99,"accounts":{}}', /version 99/, /npm install/],
        ['{"version":1,"accounts":', /cannot read/, /mv \S+ \S+\.broken/],
        ['{"version":1,"accounts":{"a@b.c":{}}}', /entry "a@b\.c": address is missing/, /mv \S+ \S+\.broken/],
      ] as const) {
        await world.home.writeConfig('accounts.json', content);
        const asked = [world.add(JANE), world.cms('account', 'list'), world.cms('token', JANE)];
        for (const finished of await Promise.all(asked)) assertFailure(finished, 78, says, cure);
        assert.equal(await accountsText(), content);
      }
    });

    it('reads an account with a hyphen at the beginning, which no new one has', async () => {
      assert.equal((await world.add(JANE, '--no-test')).status, 0);
      const hyphen = '-x@example.org';
      const file = JSON.parse(await accountsText()) as { accounts: Record<string, object> };
      const { accounts } = file;
      const other = { ...accounts[JANE], address: hyphen, login: hyphen, smtp_user: hyphen, aliases: ['-y@x.org'] };
      await world.home.writeConfig(
        'accounts.json',
        JSON.stringify({ ...file, accounts: { ...accounts, [hyphen]: other } }),
      );
      await expectToken();
      assert.match((await world.cms('account', 'list')).stdout, /^-x@example\.org/m);
      assertFailure(await world.cms('token', '--', '-y@x.org'), 77, /./);
      assert.equal((await world.cms('account', 'remove', '--yes', '--', hyphen)).status, 0);
    });

    it('names the flag for a port that is taken, and for a way that the provider does not have', async () => {
      const busy = createServer();
      await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
      const port = String((busy.address() as AddressInfo).port);
      assertFailure(await world.add(JANE, '--redirect-port', port), 73, new RegExp(`port ${port}`), /--redirect-port/);
      const yahoo = [
        '--provider',
        'yahoo',
        '--flow',
        'browser',
        '--client-id',
        'x',
        '--client-secret-file',
        await secretFile(),
      ];
      assertFailure(await world.cms('account', 'add', 'j@yahoo.com', ...yahoo), 78, /Yahoo/, /--flow manual/);
      busy.close();
    });

    const secretFile = (): Promise<string> => world.home.writeConfig('secret', 'x\n');

    it('reads the client file of Google as far as its URL shows', async () => {
      const client = { installed: { client_id: 'id.apps.googleusercontent.com', client_secret: 'GOCSPX-secret' } };
      const file = await world.home.writeConfig('client.json', JSON.stringify(client));
      const flags = ['--provider', 'google', '--client-file', file, '--no-browser', '--no-test'];
      const adding = spawnCms(['account', 'add', 'jane@gmail.com', ...flags], { env: world.env });
      const [url] = await adding.waitFor(/^https:\/\/accounts\.google\.com\/\S+$/m, { stream: 'stderr' });
      adding.kill('SIGINT');
      const { status } = await adding.exited;
      const { searchParams } = new URL(url);
      assert.equal(searchParams.get('client_id'), client.installed.client_id);
      assert.equal(searchParams.get('access_type'), 'offline');
      assert.equal(searchParams.get('prompt')?.includes('consent'), true);
      assert.ok(!adding.stderr.includes('GOCSPX'));
      assert.equal(status, 64);
      assert.match(adding.stderr, /cms: error: cancelled; nothing was changed/);
      const broken = await world.home.writeConfig('broken.json', '{"web":{}}');
      const refused = await world.cms('account', 'add', 'j@gmail.com', '--client-file', broken);
      assert.ok([65, 78].includes(refused.status!), refused.stderr);
    });

    it('gives a lost vault key up only when told where to keep the next one', async () => {
      await world.add(JANE, '--no-test');
      await writeFile(join(world.home.configDir, 'vault.key'), `${Buffer.alloc(32, 7).toString('base64')}\n`);
      assertFailure(await world.cms('token', JANE), 69, /not the one that sealed/);
      assertFailure(await world.add(JANE, '--no-test'), 69, /not the one that sealed/, /--store file/);
      const anew = await world.add(JANE, '--no-test', '--store', 'file');
      assert.equal(anew.status, 0, anew.stderr);
      await expectToken();
    });

    it('makes the next vault key only when there is something to seal', async () => {
      await world.add(JANE, '--no-test');
      const [keyFile, accountsFile] = ['vault.key', 'accounts.json'].map((name) => join(world.home.configDir, name));
      await rm(keyFile!);
      const before = await readFile(accountsFile!, 'utf8');
      world.provider.setFault(() => ({ status: 400, body: '{"error":"invalid_grant"}' }));
      assertFailure(await world.add(JANE, '--no-test', '--store', 'file'), 77, /invalid_grant|sign/);
      assert.equal(existsSync(keyFile!), false);
      assert.equal(await readFile(accountsFile!, 'utf8'), before);
      world.provider.setFault(undefined);
      assert.equal((await world.add(JANE, '--no-test', '--store', 'file')).status, 0);
      await expectToken();
    });

    it('changes both files or neither where accounts.json cannot be replaced, and says so before anybody signs in', async () => {
      await world.add(JANE, '--no-test');
      const [before, sealed] = [await accountsText(), await sealedText()];
      world.provider.clearRequests();
      await chmod(world.home.configDir, 0o500);
      try {
        assertFailure(await world.add(JANE, '--no-test', '--login', JANE), 74, /cannot write .*accounts\.json/);
      } finally {
        await chmod(world.home.configDir, 0o700);
      }
      assert.equal(world.provider.requests.length, 0);
      assert.deepEqual([await accountsText(), await sealedText()], [before, sealed]);
    });

    it('refuses the address of an account that is an alias of another, with the command that frees it', async () => {
      await world.add(JANE, '--alias', 'sales@example.org', '--no-test');
      const added = await world.add('sales@example.org', '--no-test');
      assertFailure(
        added,
        78,
        /sales@example\.org belongs to the account jane@/,
        /cms account add jane@.* --alias jane@example\.org/,
      );
    });

    it('refuses an alias of another account before anybody signs in', async () => {
      await world.add(JANE, '--alias', 'team@example.org', '--no-test');
      world.provider.clearRequests();
      const added = await world.add('bob@example.org', '--alias', 'team@example.org', '--no-test');
      assertFailure(added, 78, /team@example\.org belongs to the account jane@example\.org/, /cms account show/);
      assert.equal(world.provider.count(), 0);
    });
  });

  describe('with no identity in the answer', () => {
    beforeEach(() => {
      world.provider.accounts.set(JANE, { email: null, preferredUsername: null });
    });

    it('stores nothing where no login tells either, and names the command without what kept it from telling', async () => {
      for (const flags of [['--no-test'], ['--no-test', '--yes']]) {
        const added = await world.add(JANE, ...flags);
        assertFailure(added, 77, /does not say who signed in, and no login .* was tried; nothing was stored/);
        const command = /cms account add jane@example\.org .*/.exec(added.stderr)?.[0] ?? '';
        assert.match(command, /--client-id/);
        assert.doesNotMatch(command, /--no-test|--yes/);
      }
      await assertNothingStored();
    });

    it('stores nothing where the login is refused, and tells why', async () => {
      world.submission.refuse('*', '535 5.7.139 Authentication unsuccessful');
      assertFailure(
        await world.add(JANE, '--protocol', 'smtp'),
        77,
        /no mail server accepted the login: .*5\.7\.139/,
        /cms account add jane@/,
      );
      await assertNothingStored();
    });

    it('stores nothing where no mail server can be asked, which may pass', async () => {
      await world.submission.stop();
      assertFailure(
        await world.add(JANE, '--protocol', 'smtp'),
        75,
        /no mail server could be asked.*; nothing was stored/,
      );
      await assertNothingStored();
    });

    it('is proven by a login at a mail server, which is not repeated', async () => {
      const added = await world.add(JANE);
      assert.equal(added.status, 0, added.stderr);
      assert.equal(added.stderr.match(/SMTP localhost:\d+: login as jane@example\.org accepted/g)?.length, 1);
      await expectToken();
    });

    it('takes an unverified address for none', async () => {
      world.provider.accounts.set(JANE, { email: 'eve@example.org', emailVerified: false, preferredUsername: null });
      const added = await world.add(JANE, '--no-test');
      assertFailure(added, 77, /does not say who signed in/);
    });
  });

  describe('list and show', () => {
    it('prints JSON for scripts: an array, and an object', async () => {
      assert.deepEqual(JSON.parse((await world.cms('account', 'list', '--json')).stdout), []);
      await world.add(JANE, '--no-test');
      const [row] = JSON.parse((await world.cms('account', 'list', '--json')).stdout) as Record<string, unknown>[];
      const shown = JSON.parse((await world.cms('account', 'show', JANE, '--json')).stdout) as Record<string, unknown>;
      assert.deepEqual(row, shown);
      assert.deepEqual([shown.address, shown.state, shown.identity], [JANE, 'ok', JANE]);
    });
  });

  describe('remove', () => {
    it('revokes the grant and deletes everything of the account', async () => {
      await world.add(JANE, '--no-test');
      const token = await expectToken();
      const removed = await world.cms('account', 'remove', JANE, '--yes', '--json');
      assert.deepEqual(JSON.parse(removed.stdout), { address: JANE, removed: true, revocation: 'revoked' });
      assert.equal((await world.provider.introspect(token)).active, false);
      await assertNothingStored();
    });

    it('leaves the grant alone with --keep-grant', async () => {
      await world.add(JANE, '--no-test');
      const token = await expectToken();
      const removed = await world.cms('account', 'remove', JANE, '--yes', '--keep-grant');
      assert.equal(removed.status, 0);
      assert.equal((await world.provider.introspect(token)).active, true);
      await assertNothingStored();
    });

    it('removes the account all the same when the provider is down', async () => {
      await world.add(JANE, '--no-test');
      await world.provider.pause();
      const removed = await world.cms('account', 'remove', JANE, '--yes');
      assert.equal(removed.status, 0);
      assert.match(removed.stderr, /not revoked: cannot reach/);
      await assertNothingStored();
    });

    it('sends the refresh token to no other revocation endpoint than that of the sign-in', async () => {
      await world.add(JANE, '--no-test');
      const elsewhere = (await accountsText()).replace(ENDPOINT.revocation, '/elsewhere');
      await world.home.writeConfig('accounts.json', elsewhere);
      const removed = await world.cms('account', 'remove', JANE, '--yes');
      assert.match(removed.stderr, /not revoked: its settings changed/);
      assert.equal(world.provider.allRequests.filter(({ path }) => path === '/elsewhere').length, 0);
    });

    it('needs a yes', async () => {
      await world.add(JANE, '--no-test');
      assertFailure(await world.cms('account', 'remove', JANE), 64, /needs a yes/, /--yes/);
      await expectToken();
    });
  });
});

function assertNoSecret(texts: readonly string[], secrets: readonly string[]): void {
  for (const secret of secrets) {
    assert.ok(secret.length >= 10, 'a secret to look for');
    for (const form of [
      secret,
      Buffer.from(secret).toString('base64').replace(/=+$/, ''),
      encodeURIComponent(secret),
    ]) {
      assert.ok(!texts.some((text) => text.includes(form)));
    }
  }
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')));
}
