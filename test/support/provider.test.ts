import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import * as client from 'openid-client';
import { approveDevice, signIn, signInForCallbackUrl } from './person.ts';
import { CONFIDENTIAL_CLIENT, ENDPOINT, faults, startProvider } from './provider.ts';
import type { EmbeddedProvider, ProviderOptions } from './provider.ts';
import { closeServer, listen } from './provider/gateway.ts';

const SCOPE = 'openid email profile offline_access mail.smtp mail.imap';
const JANE = 'jane@example.org';

function discover(provider: EmbeddedProvider, clientId = provider.clientId, secret?: string) {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so to stand out; the server is on loopback
  const options = { execute: [client.allowInsecureRequests] };
  const auth = secret === undefined ? client.None() : client.ClientSecretPost(secret);
  return client.discovery(new URL(provider.issuer), clientId, undefined, auth, options);
}

async function authorizationRequest(configuration: client.Configuration, redirectUri = 'http://127.0.0.1:4711/') {
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const url = client.buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: SCOPE,
    state,
    prompt: 'consent',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  return { url: url.href, checks: { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true } };
}

async function signInWith(configuration: client.Configuration, login = JANE) {
  const { url, checks } = await authorizationRequest(configuration);
  const callback = await signInForCallbackUrl(url, { login });
  return client.authorizationCodeGrant(configuration, new URL(callback), checks);
}

describe('the embedded authorization server', () => {
  let provider: EmbeddedProvider;

  async function start(options: ProviderOptions = {}): Promise<client.Configuration> {
    provider = await startProvider(options);
    return discover(provider);
  }

  afterEach(() => provider.stop());

  it('signs a scripted person in with PKCE and shows them the page of the loopback callback', async () => {
    const configuration = await start();
    let asked: string | undefined;
    const server = createServer((request, response) => {
      asked = request.url;
      response.end('you can close this window');
    });
    try {
      const redirectUri = `http://127.0.0.1:${await listen(server)}/`;
      const { url, checks } = await authorizationRequest(configuration, redirectUri);
      const { finalUrl, status, body } = await signIn(url, { login: JANE });
      assert.deepEqual([status, body], [200, 'you can close this window']);
      assert.equal(new URL(finalUrl).searchParams.get('iss'), provider.issuer);
      const tokens = await client.authorizationCodeGrant(configuration, new URL(asked ?? '', redirectUri), checks);
      assert.deepEqual(pick(tokens.claims(), 'sub', 'email', 'email_verified'), [JANE, JANE, true]);
      assert.match(tokens.access_token, /^[-A-Za-z0-9._~+/]+=*$/);
      assert.equal(tokens.expires_in, 3600);
    } finally {
      await closeServer(server);
    }
  });

  it('sends the person back with access_denied when they decline', async () => {
    const { url } = await authorizationRequest(await start());
    const callback = new URL(await signInForCallbackUrl(url, { login: JANE, consent: 'deny' }));
    assert.equal(callback.searchParams.get('error'), 'access_denied');
    assert.equal(callback.searchParams.get('code'), null);
  });

  it('refuses the wrong password', async () => {
    const { url } = await authorizationRequest(await start());
    const { status, body } = await signIn(url, { login: JANE, password: 'wrong' });
    assert.equal(status, 401);
    assert.match(body, /Wrong name or password/);
  });

  it('refuses an authorization request without PKCE', async () => {
    const configuration = await start();
    const url = client.buildAuthorizationUrl(configuration, { redirect_uri: 'http://127.0.0.1/', scope: 'openid' });
    const callback = new URL(await signInForCallbackUrl(url.href, { login: JANE }));
    assert.equal(callback.searchParams.get('error'), 'invalid_request');
  });

  it('rotates the refresh token, and revokes the whole grant when an old one comes back', async () => {
    const configuration = await start();
    const one = await signInWith(configuration);
    const two = await client.refreshTokenGrant(configuration, one.refresh_token!);
    assert.notEqual(two.refresh_token, one.refresh_token);
    assert.equal((await provider.introspect(two.access_token)).active, true);
    await assert.rejects(client.refreshTokenGrant(configuration, one.refresh_token!), { error: 'invalid_grant' });
    await assert.rejects(client.refreshTokenGrant(configuration, two.refresh_token!), { error: 'invalid_grant' });
    assert.equal((await provider.introspect(two.access_token)).active, false);
    assert.equal(provider.count('refresh_token'), 3);
    assert.equal(provider.count('authorization_code'), 1);
  });

  it('keeps an old refresh token good where it was started as such a provider', async () => {
    const configuration = await start({ refreshTokens: 'rotate-keeping-old' });
    const one = await signInWith(configuration);
    const two = await client.refreshTokenGrant(configuration, one.refresh_token!);
    const three = await client.refreshTokenGrant(configuration, one.refresh_token!);
    assert.equal(new Set([one, two, three].map((tokens) => tokens.refresh_token)).size, 3);
  });

  it('never changes the refresh token where it was started as such a provider', async () => {
    const configuration = await start({ refreshTokens: 'keep' });
    const one = await signInWith(configuration);
    const two = await client.refreshTokenGrant(configuration, one.refresh_token!);
    assert.equal(two.refresh_token, one.refresh_token);
  });

  it('revokes the grants of one person and of nobody else', async () => {
    const configuration = await start();
    const jane = await signInWith(configuration);
    const john = await signInWith(configuration, 'john@example.org');
    provider.revokeGrants(JANE);
    await assert.rejects(client.refreshTokenGrant(configuration, jane.refresh_token!), { error: 'invalid_grant' });
    assert.equal((await provider.introspect(jane.access_token)).active, false);
    assert.equal((await provider.introspect(john.access_token)).active, true);
    await client.refreshTokenGrant(configuration, john.refresh_token!);
  });

  it('revokes the grant with the refresh token at the revocation endpoint', async () => {
    const configuration = await start();
    const tokens = await signInWith(configuration);
    await client.tokenRevocation(configuration, tokens.refresh_token!);
    assert.equal((await provider.introspect(tokens.access_token)).active, false);
  });

  it('tells the mail server whose token it is and what it is good for', async () => {
    const tokens = await signInWith(await start());
    const { active, username, email, scope } = await provider.introspect(tokens.access_token);
    assert.deepEqual([active, username, email], [true, JANE, JANE]);
    assert.ok(scope?.split(' ').includes('mail.smtp'));
  });

  it('lets an access token end with its lifetime', async () => {
    const configuration = await start({ accessTokenTtl: 1 });
    const tokens = await signInWith(configuration);
    assert.equal(tokens.expires_in, 1);
    const deadline = Date.now() + 5000;
    while ((await provider.introspect(tokens.access_token)).active) assert.ok(Date.now() < deadline);
  });

  it('says about an account what it was told to say', async () => {
    const accounts = { 'a@example.org': { emailVerified: false }, 'b@example.org': { email: null } };
    const configuration = await start({ accounts });
    const unverified = await signInWith(configuration, 'a@example.org');
    assert.deepEqual(pick(unverified.claims(), 'email', 'email_verified'), ['a@example.org', false]);
    const nameless = await signInWith(configuration, 'b@example.org');
    assert.deepEqual(pick(nameless.claims(), 'email', 'email_verified'), [undefined, undefined]);
    const info = await client.fetchUserInfo(configuration, nameless.access_token, 'b@example.org');
    assert.equal(info.email, undefined);
  });

  it('leaves a withheld scope out of the grant', async () => {
    const tokens = await signInWith(await start({ withholdScopes: ['mail.smtp'] }));
    const granted = tokens.scope?.split(' ') ?? [];
    assert.deepEqual([granted.includes('mail.smtp'), granted.includes('mail.imap')], [false, true]);
  });

  it('serves a client with a secret and refuses a wrong one', async () => {
    await start();
    const { clientId, clientSecret } = CONFIDENTIAL_CLIENT;
    const tokens = await signInWith(await discover(provider, clientId, clientSecret));
    const wrong = await discover(provider, clientId, 'not it');
    await assert.rejects(client.refreshTokenGrant(wrong, tokens.refresh_token!), { error: 'invalid_client' });
  });

  it('approves and declines a device', async () => {
    const configuration = await start();
    const allowed = await client.initiateDeviceAuthorization(configuration, { scope: SCOPE });
    assert.equal(allowed.interval, 1);
    const { status, body } = await approveDevice(allowed.verification_uri, allowed.user_code, { login: JANE });
    assert.equal(status, 200);
    assert.match(body, /Device connected/);
    const tokens = await client.pollDeviceAuthorizationGrant(configuration, allowed);
    assert.ok(tokens.refresh_token);

    const denied = await client.initiateDeviceAuthorization(configuration, { scope: SCOPE });
    await approveDevice(denied.verification_uri_complete!, '', { login: JANE, consent: 'deny' });
    const polling = client.pollDeviceAuthorizationGrant(configuration, denied);
    await assert.rejects(polling, { error: 'access_denied' });
  });

  describe('with a fault in front of the token endpoint', () => {
    it('answers in the place of the provider, which then knows of no exchange', async () => {
      const configuration = await start();
      const one = await signInWith(configuration);
      provider.setFault(faults.answer(503, '<h1>down</h1>', { 'retry-after': '7' }));
      const response = await fetch(provider.tokenEndpoint, { method: 'POST', body: new URLSearchParams({}) });
      assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '7']);
      await assert.rejects(client.refreshTokenGrant(configuration, one.refresh_token!));
      provider.setFault(undefined);
      await client.refreshTokenGrant(configuration, one.refresh_token!);
    });

    it('lets the provider rotate and loses the answer', async () => {
      const configuration = await start();
      const one = await signInWith(configuration);
      provider.setFault(faults.first(1, faults.dropResponse));
      await assert.rejects(client.refreshTokenGrant(configuration, one.refresh_token!));
      await assert.rejects(client.refreshTokenGrant(configuration, one.refresh_token!), { error: 'invalid_grant' });
    });

    it('cuts a connection before the provider has seen the request', async () => {
      const configuration = await start();
      const one = await signInWith(configuration);
      provider.setFault(faults.first(1, faults.reset));
      await assert.rejects(client.refreshTokenGrant(configuration, one.refresh_token!));
      await client.refreshTokenGrant(configuration, one.refresh_token!);
    });

    it('never answers', async () => {
      await start();
      provider.setFault(faults.hang);
      const asked = fetch(provider.tokenEndpoint, { method: 'POST', signal: AbortSignal.timeout(300) });
      await assert.rejects(asked, { name: 'TimeoutError' });
    });

    it('changes single fields of the answer', async () => {
      const configuration = await start();
      const one = await signInWith(configuration);
      provider.setFault(faults.rewrite((answer) => ({ ...answer, refresh_token: undefined, expires_in: 5 })));
      const two = await client.refreshTokenGrant(configuration, one.refresh_token!);
      assert.deepEqual([two.refresh_token, two.expires_in], [undefined, 5]);
    });

    it('stands in front of other endpoints on request', async () => {
      await start();
      provider.setFault(faults.answer(500), ENDPOINT.jwks);
      assert.equal((await fetch(provider.issuer + ENDPOINT.jwks)).status, 500);
    });
  });

  it('goes off the network and comes back on the same port with the same grants', async () => {
    const configuration = await start();
    const { issuer } = provider;
    const one = await signInWith(configuration);
    await provider.pause();
    await assert.rejects(client.refreshTokenGrant(configuration, one.refresh_token!));
    assert.equal((await provider.introspect(one.access_token)).active, true);
    await provider.resume();
    assert.equal(provider.issuer, issuer);
    await client.refreshTokenGrant(configuration, one.refresh_token!);
  });

  it('says nothing on the console', async () => {
    const said: unknown[] = [];
    const { log, info, warn, error } = console;
    const silent = (...words: unknown[]) => void said.push(words);
    Object.assign(console, { log: silent, info: silent, warn: silent, error: silent });
    try {
      const configuration = await start();
      const tokens = await signInWith(configuration);
      await client.refreshTokenGrant(configuration, tokens.refresh_token!);
      await client.fetchUserInfo(configuration, tokens.access_token, JANE);
    } finally {
      Object.assign(console, { log, info, warn, error });
    }
    assert.deepEqual(said, []);
  });
});

function pick(claims: object | undefined, ...names: string[]): unknown[] {
  const known = new Map<string, unknown>(Object.entries(claims ?? {}));
  return names.map((name) => known.get(name));
}
