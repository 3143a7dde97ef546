/** The rules for tokens, against a provider that rotates at every use and revokes everything when one is used twice. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { OAuthAccount } from '../../../src/lib/accounts/account.ts';
import type { Context } from '../../../src/lib/context.ts';
import { storeSignIn } from '../../../src/lib/enrol/store-account.ts';
import { CmsError, type ErrorCode } from '../../../src/lib/core/errors.ts';
import { type Logger, silentLogger } from '../../../src/lib/core/log.ts';
import { exchangeRefreshToken } from '../../../src/lib/oauth/token/refresh.ts';
import type { GrantRecord } from '../../../src/lib/vault/grant.ts';
import { Vault } from '../../../src/lib/vault/vault.ts';
import { openVaultKey } from '../../../src/lib/vault/key-source.ts';
import { TokenService, type TokenServiceOptions } from '../../../src/lib/tokens/service.ts';
import { CMS_PROGRAM, runCms, temporaryHome, type TemporaryHome } from '../../support/environment.ts';
import { run, start } from '../../support/processes.ts';
import { type EmbeddedProvider, faults, type ProviderOptions, startProvider } from '../../support/provider.ts';
import { obtainTokens } from '../../support/tokens.ts';
import { JANE, signInAccount } from './signed-in.ts';
import { Secret } from '../../../src/lib/core/secret.ts';
import { type Revealed, revealed } from '../../support/secrets.ts';

const HOUR = 3_600_000;
const BOB = 'bob@example.org';
const CRASH = fileURLToPath(new URL('crash.ts', import.meta.url));

describe('the token service with a real provider', function () {
  this.timeout(60_000);
  let provider: EmbeddedProvider;
  let home: TemporaryHome;
  let context: Context;
  let account: OAuthAccount;
  let refreshToken: string;
  let accessToken: string;

  /** `age`: of the access token, in milliseconds; it lives for an hour. */
  async function signIn({ age = 0, ...options }: ProviderOptions & { age?: number } = {}): Promise<void> {
    provider = await startProvider(options);
    home = await temporaryHome({ env: { CMS_STORE: 'file' } });
    ({ context, account, refreshToken, accessToken } = await signInAccount(home.env, provider, { age }));
  }

  afterEach(async () => {
    await provider.stop();
    await home.remove();
  });

  const service = (options: Partial<TokenServiceOptions> = {}): TokenService =>
    new TokenService({
      vault: context.vault,
      exchange: exchangeRefreshToken,
      log: silentLogger,
      now: Date.now,
      random: () => 0.5,
      ...options,
    });

  const onDisk = async (): Promise<Revealed<GrantRecord>> => {
    const record = await context.vault.read(JANE);
    assert.ok(record);
    return revealed(record);
  };

  const isActive = async (token: string): Promise<boolean> => (await provider.introspect(token)).active;
  const cms = (...argv: string[]) => runCms(argv, { env: home.env, timeoutMs: 50_000 });

  async function fails(work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<CmsError> {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof CmsError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return error;
  }

  describe('one exchange at a time', () => {
    it('serves a fresh token from the disk without asking anybody', async () => {
      await signIn();
      assert.equal((await service().accessToken(account)).access_token.reveal(), accessToken);
      assert.equal(provider.count(), 0);
    });

    it('makes one exchange for all who ask in a process', async () => {
      await signIn({ age: HOUR });
      const tokens = service();
      const answers = await Promise.all(Array.from({ length: 200 }, () => tokens.accessToken(account)));
      assert.equal(new Set(answers.map(({ access_token }) => access_token.reveal())).size, 1);
      assert.equal(provider.count('refresh_token'), 1);
      assert.ok(await isActive(answers[0]!.access_token.reveal()));
    });

    it('makes one exchange for 20 processes at once, and all of them print a token that is good', async () => {
      await signIn({ age: HOUR });
      const finished = await Promise.all(Array.from({ length: 20 }, () => cms('token', JANE)));
      for (const { status, stderr } of finished) assert.deepEqual([status, stderr], [0, '']);
      const tokens = new Set(finished.map(({ stdout }) => stdout.trim()));
      for (const token of tokens) assert.ok(await isActive(token));
      assert.equal(provider.count('refresh_token'), 1);
    });

    it('keeps no more tokens in memory than it may, and reads the others again without an exchange', async () => {
      await signIn();
      const others = [BOB, 'eve@example.org'].map((address) => signInAccount(home.env, provider, { address }));
      const all = [{ account, accessToken }, ...(await Promise.all(others))];
      const tokens = service({ resident: true, maxTokens: 2 });
      for (let turn = 0; turn < 3; turn++) {
        for (const each of all) {
          assert.equal((await tokens.accessToken(each.account)).access_token.reveal(), each.accessToken);
          assert.ok(tokens.cached(each.account), 'the newest one is kept');
        }
        const known = all.map((each) => tokens.known(each.account.address));
        assert.deepEqual(
          known.map((grant) => grant?.access_token !== undefined),
          [false, true, true],
        );
        assert.ok(known.every((grant) => grant?.expires_at !== undefined && grant.refreshable));
      }
      assert.equal(provider.count(), 0);
    });

    it('gives a forced refresh that joins late a token issued after it asked', async () => {
      await signIn({ age: HOUR });
      const tokens = service();
      const first = tokens.accessToken(account);
      const [old, forced] = await Promise.all([first, tokens.accessToken(account, { forceRefresh: true })]);
      assert.equal(old.access_token.reveal(), forced.access_token.reveal(), 'both asked before the exchange');
      await sleep(2);
      const again = await tokens.accessToken(account, { forceRefresh: true });
      assert.notEqual(again.access_token.reveal(), old.access_token.reveal());
      assert.equal(provider.count('refresh_token'), 2);
    });

    it('lets one refusal answer all who insisted at the same time', async () => {
      await signIn({ age: HOUR });
      provider.revokeGrants(JANE);
      const tokens = [service(), service(), service()];
      const asked = tokens.map((each) =>
        fails(each.accessToken(account, { forceRefresh: true }), 'authorization_required', /no longer accepted/),
      );
      await Promise.all(asked);
      assert.equal(provider.count(), 1);
    });
  });

  describe('rotation', () => {
    it('stores the new refresh token beside the one before, then serves', async () => {
      await signIn({ age: HOUR });
      const { access_token } = revealed(await service().accessToken(account));
      const { secrets } = await onDisk();
      assert.equal(secrets.access_token, access_token);
      assert.notEqual(secrets.refresh_token, refreshToken);
      assert.equal(secrets.previous_refresh_token, refreshToken);
      assert.equal(secrets.refresh_token_accepted, false);
      assert.equal(secrets.attempt, undefined);
    });

    it('drops the one before once the new one was accepted', async () => {
      await signIn({ age: HOUR });
      await service().accessToken(account);
      const second = (await onDisk()).secrets.refresh_token;
      await service().accessToken(account, { forceRefresh: true });
      const { secrets } = await onDisk();
      assert.equal(secrets.previous_refresh_token, second);
      assert.ok(!JSON.stringify(secrets).includes(refreshToken));
    });

    it('tries the one before where the new one was never once accepted', async () => {
      await signIn({ age: HOUR, refreshTokens: 'keep' });
      provider.setFault(faults.rewrite((answer) => ({ ...answer, refresh_token: 'never-issued-by-anybody' })));
      await service().accessToken(account);
      provider.setFault(undefined);
      provider.clearRequests();
      await service().accessToken(account, { forceRefresh: true });
      const sent = provider.requests.map(({ parameters }) => parameters.get('refresh_token'));
      assert.deepEqual(sent, ['never-issued-by-anybody', refreshToken]);
      assert.equal((await onDisk()).secrets.refresh_token, refreshToken);
    });

    it('tries no other where the refused one had been accepted', async () => {
      await signIn({ age: HOUR, refreshTokens: 'keep' });
      await service().accessToken(account);
      provider.revokeGrants(JANE);
      provider.clearRequests();
      await fails(service().accessToken(account, { forceRefresh: true }), 'authorization_required', /invalid_grant/);
      assert.equal(provider.count(), 1);
    });

    it('keeps what the provider still honours when killed before storing', async () => {
      await signIn({ age: HOUR, refreshTokens: 'rotate-keeping-old' });
      const { signal } = await crash('exchanged');
      assert.equal(signal, 'SIGKILL');
      const { secrets } = await onDisk();
      assert.equal(secrets.refresh_token, refreshToken);
      assert.ok(secrets.attempt, 'the note tells that an exchange was begun');
      const { status, stdout } = await cms('token', JANE);
      assert.equal(status, 0);
      assert.ok(await isActive(stdout.trim()));
    });

    it('says plainly that the grant is gone where the provider honours nothing after such a kill', async () => {
      await signIn({ age: HOUR });
      await crash('exchanged');
      const { status, stderr } = await cms('token', JANE);
      assert.equal(status, 77);
      assert.match(stderr, /no longer accepted: .+ \(invalid_grant/);
      assert.match(stderr, new RegExp(`cms account add ${JANE}`));
    });

    it('serves what was stored by a process that was killed before serving', async () => {
      await signIn({ age: HOUR });
      await crash('stored');
      provider.clearRequests();
      const { stdout } = await cms('token', JANE);
      assert.ok(await isActive(stdout.trim()));
      assert.equal(provider.count(), 0);
    });

    const crash = (point: string) => run(process.execPath, ['--import', 'tsx', CRASH, JANE, point], { env: home.env });
  });

  describe('refusals', () => {
    it('marks the account, keeps the refresh token and asks no more until somebody insists', async () => {
      await signIn({ age: HOUR });
      provider.revokeGrants(JANE);
      const { status, stdout, stderr } = await cms('token', JANE);
      assert.deepEqual([status, stdout], [77, '']);
      assert.match(stderr, /^cms: error: the sign-in of jane@example\.org is no longer accepted: .+ \(invalid_grant/);
      const record = await onDisk();
      assert.equal(record.state, 'authorization_required');
      assert.equal(record.secrets.refresh_token, refreshToken);
      await fails(service().accessToken(account), 'authorization_required', /invalid_grant/);
      assert.equal(provider.count(), 1);
      await sleep(2);
      await fails(service().accessToken(account, { forceRefresh: true }), 'authorization_required', /invalid_grant/);
      assert.equal(provider.count(), 2);
    });

    it('keeps what was said of the newest refresh token, where two are refused', async () => {
      await signIn({ age: HOUR, refreshTokens: 'keep' });
      provider.setFault(faults.rewrite((answer) => ({ ...answer, refresh_token: 'the-newest' })));
      await service().accessToken(account);
      provider.clearRequests();
      const reasons = ['of the newest', 'of the one before'];
      provider.setFault((request, response) =>
        faults.tokenError('invalid_grant', reasons.shift() ?? 'one too many')(request, response),
      );
      await fails(
        service().accessToken(account, { forceRefresh: true }),
        'authorization_required',
        /invalid_grant: of the newest/,
      );
      assert.equal(provider.count(), 2);
      assert.equal((await onDisk()).reason?.description, 'of the newest');
    });

    it('asks again by itself after a refusal that passes by itself', async () => {
      await signIn({ age: HOUR, refreshTokens: 'rotate-keeping-old' });
      provider.setFault(faults.first(1, faults.tokenError('invalid_grant', 'AADSTS50196: client request loop')));
      await fails(service().accessToken(account), 'temporarily_unavailable', /AADSTS50196/);
      assert.equal((await onDisk()).state, 'active');
      const later = Date.now() + 5000;
      const { access_token } = await service({ now: () => later }).accessToken(account);
      assert.ok(await isActive(access_token.reveal()));
    });

    it('asks again although such a refusal was once kept as final', async () => {
      await signIn({ age: HOUR, refreshTokens: 'rotate-keeping-old' });
      const record = await context.vault.read(JANE);
      assert.ok(record);
      const reason = { error: 'invalid_grant', description: 'AADSTS50196: client request loop', at: Date.now() - HOUR };
      await context.vault.write({ ...record, state: 'authorization_required', reason });
      assert.ok(await isActive((await service().accessToken(account)).access_token.reveal()));
      assert.equal((await onDisk()).reason, undefined);
    });

    it('still serves an unexpired token of an account that has to sign in again', async () => {
      await signIn({ age: HOUR - 60_000 });
      provider.setFault(faults.tokenError('interaction_required', 'AADSTS50076'));
      assert.equal((await service().accessToken(account)).access_token.reveal(), accessToken);
      assert.equal((await onDisk()).reason?.error, 'interaction_required');
    });

    it('notices a sign-in of another process although it remembers a refusal', async () => {
      await signIn({ age: HOUR });
      provider.revokeGrants(JANE);
      const resident = service({ resident: true });
      await fails(resident.accessToken(account), 'authorization_required', /invalid_grant/);
      const { access_token, refresh_token } = await obtainTokens(provider, JANE);
      await storeSignIn(context, account, {
        access_token: new Secret(access_token),
        refresh_token: new Secret(refresh_token),
        expires_in: 3600,
        issued_at: Date.now(),
      });
      assert.equal((await resident.accessToken(account)).access_token.reveal(), access_token);
    });

    it('calls a client that is refused by its name, and waits an hour before it tries again', async () => {
      await signIn({ age: HOUR });
      provider.setFault(faults.tokenError('invalid_client', 'no such client', 401));
      await fails(service().accessToken(account), 'client_invalid', /invalid_client \(no such client\)/);
      await fails(service().accessToken(account), 'client_invalid', /invalid_client/);
      assert.equal(provider.count(), 1);
      assert.equal((await onDisk()).secrets.refresh_token, refreshToken);
    });
  });

  describe('weather', () => {
    for (const [what, fault, says] of [
      ['a web page', faults.answer(200, '<html>hotel</html>'), /a web page instead of JSON/],
      ['HTTP 503', faults.answer(503, 'down'), /answered 503/],
      ['HTTP 429', faults.answer(429, { error: 'invalid_grant' }), /answered 429/],
      ['an error inside a 500', faults.tokenError('invalid_grant', 'x', 500), /answered 500/],
      ['a redirect', faults.answer(307, '', { location: 'http://127.0.0.1:9/' }), /answered 307/],
      ['half an object', faults.answer(400, '{"error":"invalid_gr'), /not JSON/],
      ['a cut connection', faults.reset, /cannot reach 127\.0\.0\.1/],
      ['a token of another type', faults.rewrite((a) => ({ ...a, token_type: 'mac' })), /not of type Bearer/],
    ] as const) {
      it(`calls ${what} temporary and keeps the grant`, async () => {
        await signIn({ age: HOUR, refreshTokens: 'rotate-keeping-old' });
        provider.setFault(fault);
        await fails(service().accessToken(account), 'temporarily_unavailable', says);
        const record = await onDisk();
        assert.deepEqual([record.state, record.secrets.refresh_token], ['active', refreshToken]);
        provider.setFault(undefined);
        assert.ok(
          await isActive((await service({ now: () => Date.now() + 5000 }).accessToken(account)).access_token.reveal()),
        );
      });
    }

    it('gives up on a provider that hangs after 10 s, and the others waiting do not queue up', async function () {
      await signIn({ age: HOUR });
      provider.setFault(faults.hang);
      const began = performance.now();
      const finished = await Promise.all([cms('token', JANE), cms('token', JANE), cms('token', JANE)]);
      for (const { status, stderr } of finished) {
        assert.equal(status, 75);
        assert.match(stderr, /no answer within 10 s/);
      }
      assert.ok(performance.now() - began < 15_000);
      assert.equal(provider.count(), 1);
    });

    it('reports a provider that is off the network with 75', async () => {
      await signIn({ age: HOUR });
      await provider.pause();
      const { status, stdout, stderr } = await cms('token', JANE);
      assert.deepEqual([status, stdout], [75, '']);
      assert.match(stderr, /cannot reach 127\.0\.0\.1:\d+: connection refused/);
      assert.match(stderr, /cms: try: cms token jane@example\.org --force-refresh/);
    });

    it('serves a token that still lives while the provider is down', async () => {
      await signIn({ age: HOUR - 60_000 });
      await provider.pause();
      const { status, stdout, stderr } = await cms('token', JANE);
      assert.deepEqual([status, stdout.trim(), stderr], [0, accessToken, '']);
      assert.equal((await cms('token', JANE, '--force-refresh')).status, 75);
    });

    for (const resident of [true, false]) {
      it(`serves it to others while a forced refresh fails, ${resident ? 'in a broker' : 'without one'}`, async () => {
        await signIn({ age: HOUR - 5 * 60_000 });
        provider.setFault(faults.answer(503, ''));
        const tokens = service({ resident });
        const forced = tokens.accessToken(account, { forceRefresh: true });
        const [insists, joins] = await Promise.allSettled([forced, tokens.accessToken(account)]);
        assert.equal(insists.status, 'rejected');
        assert.equal(joins.status === 'fulfilled' && joins.value.access_token.reveal(), accessToken);
        assert.equal((await tokens.accessToken(account)).access_token.reveal(), accessToken);
        assert.equal(provider.count(), 1);
      });
    }

    it('honours Retry-After, for at most an hour', async () => {
      await signIn({ age: HOUR });
      provider.setFault(faults.answer(429, '', { 'retry-after': '120' }));
      await fails(service().accessToken(account), 'temporarily_unavailable', /next attempt in 120 s/);
      await fails(service().accessToken(account), 'temporarily_unavailable', /next attempt in 1(20|19) s/);
      assert.equal(provider.count(), 1);
      provider.setFault(undefined);
      const later = Date.now() + 121_000;
      await service({ now: () => later }).accessToken(account);
      assert.equal(provider.count(), 2);
    });

    for (const header of ['0', '-1', 'Thu, 01 Jan 2015 00:00:00 GMT', 'soon', '']) {
      it(`asks no oftener than by its own schedule for a Retry-After of "${header}"`, async () => {
        await signIn({ age: HOUR });
        provider.setFault(faults.answer(503, '', { 'retry-after': header }));
        const begun = Date.now();
        // By a clock of its own: 60 s, in steps of 100 ms.
        for (let clock = begun; clock < begun + 60_000; clock += 100) {
          await service({ now: () => clock })
            .accessToken(account)
            .catch(() => undefined);
        }
        assert.ok(provider.count() <= 6, `${provider.count()} exchanges in 60 s`);
      });
    }

    it('counts no failure that was noted by a clock which was ahead', async () => {
      for (const [fault, code] of [
        [faults.answer(503, ''), 'temporarily_unavailable'],
        [faults.tokenError('invalid_client', 'x', 401), 'client_invalid'],
      ] as const) {
        await signIn({ age: HOUR, refreshTokens: 'rotate-keeping-old' });
        provider.setFault(fault);
        const ahead = Date.now() + 2 * HOUR;
        await fails(service({ now: () => ahead }).accessToken(account), code, /no new token/);
        assert.equal((await onDisk()).failure?.at, ahead);
        provider.setFault(undefined);
        assert.ok(await isActive((await service().accessToken(account)).access_token.reveal()));
        if (code === 'client_invalid') break;
        await provider.stop();
        await home.remove();
      }
    });

    it('insists and is heard although a refusal was noted by a clock which was ahead', async () => {
      await signIn({ age: HOUR, refreshTokens: 'rotate-keeping-old' });
      provider.setFault(faults.tokenError('interaction_required'));
      const ahead = Date.now() + 2 * HOUR;
      await fails(service({ now: () => ahead }).accessToken(account), 'authorization_required', /no longer accepted/);
      provider.setFault(undefined);
      const { access_token } = await service().accessToken(account, { forceRefresh: true });
      assert.ok(await isActive(access_token.reveal()));
    });

    it('puts none of the provider’s echoes of a secret into messages, logs or the readable part of the file', async () => {
      await signIn({ age: HOUR });
      const said: string[] = [];
      const hear = (message: string, fields?: object): void => void said.push(message, JSON.stringify(fields));
      const log: Logger = { error: hear, warn: hear, info: hear, debug: hear, trace: hear };
      for (const fault of [
        faults.tokenError('invalid_scope', `bad token ${refreshToken}`),
        faults.tokenError(refreshToken),
        faults.tokenError('other', `form was refresh_token=${encodeURIComponent(refreshToken)}`),
        faults.answer(503, refreshToken),
      ]) {
        provider.setFault(fault);
        const error = await service({ log })
          .accessToken(account, { forceRefresh: true })
          .catch((thrown: unknown) => thrown);
        said.push(String(error), JSON.stringify(error), await vaultText());
        await sleep(2);
      }
      assert.equal(provider.count(), 4);
      assert.ok(!said.join('\n').includes(refreshToken));
    });
  });

  const vaultText = async (): Promise<string> => {
    const { readdir } = await import('node:fs/promises');
    const folder = join(home.stateDir, 'vault');
    return (await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')))).join('\n');
  };

  describe('binding', () => {
    for (const [what, change] of [
      ['token endpoint', { token_endpoint: 'http://127.0.0.1:9/token' }],
      ['client id', { client_id: 'another' }],
      ['issuer', { issuer: 'http://127.0.0.1:9' }],
    ] as const) {
      it(`sends nothing anywhere once the ${what} changed`, async () => {
        await signIn({ age: HOUR });
        const changed = { ...account, client: { ...account.client, ...change } };
        await fails(service().accessToken(changed, { forceRefresh: true }), 'config_invalid', /settings of jane/);
        assert.equal(provider.allRequests.length, 0);
      });
    }
  });

  describe('validity', () => {
    it('takes the smaller of what is asked for and half the lifetime', async () => {
      await signIn({ age: HOUR / 2 - 90_000 });
      assert.equal(
        (await service().accessToken(account, { minValiditySeconds: 99_999 })).access_token.reveal(),
        accessToken,
      );
      const later = Date.now() + 100_000;
      await service({ now: () => later }).accessToken(account, { minValiditySeconds: 99_999 });
      assert.equal(provider.count(), 1);
    });

    it('makes one exchange a minute at most, whatever is asked for', async () => {
      await signIn({ age: HOUR });
      provider.accessTokenTtl = 90;
      const tokens = service();
      await tokens.accessToken(account);
      const begun = Date.now();
      for (const second of [10, 30, 50, 59]) {
        await service({ now: () => begun + second * 1000 }).accessToken(account, { minValiditySeconds: 9999 });
      }
      assert.equal(provider.count(), 1);
    });

    for (const [given, seconds] of [
      [-5, 0],
      ['120', 120],
      [1e12, 7 * 24 * 3600],
      [undefined, 3600],
      ['soon', 3600],
      [null, 3600],
    ] as const) {
      it(`reads an expires_in of ${String(given)} as ${seconds} s`, async () => {
        await signIn({ age: HOUR });
        provider.setFault(faults.rewrite((answer) => ({ ...answer, expires_in: given })));
        const { expires_at } = await service().accessToken(account);
        const left = (expires_at - Date.now()) / 1000;
        assert.ok(Math.abs(left - seconds) < 5, String(left));
      });
    }

    it('serves no token whose time of issue lies in the future: the clock was set back', async () => {
      await signIn({ age: -HOUR });
      assert.notEqual((await service().accessToken(account)).access_token.reveal(), accessToken);
    });
  });

  describe('sign-in during a refresh', () => {
    it('waits for the exchange and wins', async () => {
      await signIn({ age: HOUR });
      provider.setFault(faults.first(1, faults.delay(300)));
      const refreshing = service().accessToken(account);
      await sleep(100);
      const fresh = await obtainTokens(provider, JANE);
      await storeSignIn(context, account, {
        access_token: new Secret(fresh.access_token),
        refresh_token: new Secret(fresh.refresh_token),
        expires_in: fresh.expires_in,
        issued_at: Date.now(),
      });
      await refreshing;
      const { secrets } = await onDisk();
      assert.equal(secrets.refresh_token, fresh.refresh_token);
    });
  });

  describe('a store that fails', () => {
    /** Fails every write after the first `good` ones, until it is mended. */
    class FailingVault extends Vault {
      broken = true;
      good = 1;
      override async write(record: GrantRecord): Promise<void> {
        if (this.broken && this.good-- <= 0) throw new CmsError('io_error', 'cannot write: ENOSPC');
        await super.write(record);
      }
    }

    const failingVault = (): FailingVault =>
      new FailingVault(context.paths, async () => {
        const { vault_key: record } = await context.accounts.read();
        assert.ok(record);
        return openVaultKey({ paths: context.paths, env: home.env, record, interactive: false });
      });

    it('keeps a new grant in memory, lets nobody else use the old one, and stores it later', async () => {
      await signIn({ age: HOUR });
      const vault = failingVault();
      const resident = service({ vault, resident: true });
      const { access_token } = revealed(await resident.accessToken(account));
      assert.ok(await isActive(access_token));
      assert.deepEqual([...resident.unstored.keys()], [JANE]);
      assert.equal((await onDisk()).secrets.refresh_token, refreshToken);
      assert.equal((await resident.accessToken(account, { forceRefresh: true })).access_token.reveal(), access_token);
      resident.forget();
      assert.equal((await resident.accessToken(account)).access_token.reveal(), access_token);
      await resident.storeUnstored();
      assert.deepEqual([...resident.unstored.keys()], [JANE], 'still full');
      assert.equal(provider.count(), 1);
      vault.broken = false;
      await resident.storeUnstored();
      assert.deepEqual([...resident.unstored.keys()], []);
      assert.equal((await onDisk()).secrets.access_token, access_token);
      await sleep(2);
      await service().accessToken(account, { forceRefresh: true });
      assert.equal(provider.count(), 2);
    });

    it('does not let go of it for other accounts', async () => {
      await signIn({ age: HOUR });
      const other = await signInAccount(home.env, provider, { address: BOB });
      const vault = failingVault();
      const resident = service({ vault, resident: true, maxTokens: 1 });
      const { access_token } = revealed(await resident.accessToken(account));
      for (let turn = 0; turn < 2; turn++) {
        assert.equal((await resident.accessToken(other.account)).access_token.reveal(), other.accessToken);
        assert.equal(resident.cached(account)?.access_token.reveal(), access_token);
      }
      vault.broken = false;
      await resident.storeUnstored();
      assert.equal((await onDisk()).secrets.access_token, access_token);
    });

    it('tries again where the process does not stay, and stores before it serves', async () => {
      await signIn({ age: HOUR });
      const vault = failingVault();
      const asked = service({ vault }).accessToken(account);
      setTimeout(() => (vault.broken = false), 700);
      const { access_token } = revealed(await asked);
      assert.equal((await onDisk()).secrets.access_token, access_token);
    });

    it('asks the provider nothing while the attempt cannot be noted', async () => {
      await signIn({ age: HOUR });
      const vault = failingVault();
      vault.good = 0;
      await fails(service({ vault }).accessToken(account), 'io_error', /ENOSPC/);
      assert.equal(provider.count(), 0);
    });

    it('serves a token that still lives from a disk that takes no write', async () => {
      await signIn({ age: HOUR - 60_000 });
      const limited = `trap '' XFSZ; ulimit -f 0; exec "$0" "$@"`;
      const argv = ['-c', limited, process.execPath, CMS_PROGRAM, 'token', JANE];
      const { status, stdout, stderr } = await run('bash', argv, { env: home.env });
      assert.deepEqual([status, stdout.trim(), stderr], [0, accessToken, '']);
      const forced = await run('bash', [...argv, '--force-refresh'], { env: home.env });
      assert.equal(forced.status, 74, forced.stderr);
      assert.match(forced.stderr, /cannot write .*EFBIG/);
      assert.equal(provider.count(), 0);
      assert.equal((await onDisk()).secrets.refresh_token, refreshToken);
    });
  });

  describe('the lock', () => {
    it('is freed when its holder is killed', async () => {
      await signIn({ age: HOUR });
      provider.setFault(faults.first(1, faults.hang));
      const holder = start(process.execPath, [CMS_PROGRAM, 'token', JANE], { env: home.env });
      while (provider.count() === 0) await sleep(20);
      const waiting = cms('token', JANE);
      await sleep(300);
      holder.kill('SIGKILL');
      const { status, stdout } = await waiting;
      assert.equal(status, 0);
      assert.ok(await isActive(stdout.trim()));
    });
  });
});
