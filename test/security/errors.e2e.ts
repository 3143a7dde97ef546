/** What an error drags along: a library that logs it shows its causes, with everything that hangs on them. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { signInManually } from '../../src/lib/oauth/sign-in/authorization-code.ts';
import { exchangeRefreshToken } from '../../src/lib/oauth/token/refresh.ts';
import { revokeRefreshToken } from '../../src/lib/oauth/token/revoke.ts';
import { Secret } from '../../src/lib/core/secret.ts';
import { accountAt, JANE } from '../lib/tokens/signed-in.ts';
import { leaks } from '../support/canary.ts';
import { signInForCallbackUrl } from '../support/person.ts';
import { type EmbeddedProvider, ENDPOINT, type Fault, faults, startProvider } from '../support/provider.ts';

const CLIENT_SECRET = 'the-secret-of-the-client';

describe('an error of a sign-in or an exchange', () => {
  let provider: EmbeddedProvider;
  before(async () => {
    provider = await startProvider();
  });
  after(() => provider.stop());
  afterEach(() => provider.setFault(undefined));

  const thrownBy = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      (value) => value,
      (error: unknown) => error,
    );

  async function signIn(): Promise<unknown> {
    const { client } = accountAt(provider);
    const authorization = provider.issuer + ENDPOINT.authorization;
    return thrownBy(
      signInManually({
        client: { ...client, authorization_endpoint: authorization, jwks_uri: provider.issuer + ENDPOINT.jwks },
        login: JANE,
        signal: AbortSignal.timeout(10_000),
        ask: (url) => signInForCallbackUrl(url, { login: JANE }),
      }),
    );
  }

  function assertClean(error: unknown): void {
    const { allRequests, issuedTokens } = provider;
    const names = ['code', 'code_verifier', 'client_secret', 'refresh_token', 'token'];
    const sent = allRequests.flatMap(({ parameters }) => names.flatMap((name) => parameters.get(name) ?? []));
    const secrets = [...issuedTokens, ...sent, CLIENT_SECRET];
    assert.ok(sent.length > 0);
    const options = { depth: Infinity, showHidden: true, maxStringLength: null, maxArrayLength: null };
    const texts = [inspect(error, options), JSON.stringify(error), error instanceof Error ? (error.stack ?? '') : ''];
    assert.deepEqual(
      leaks(
        texts.map((text) => ({ name: 'error', text })),
        secrets,
      ),
      [],
    );
  }

  const echo: Fault = ({ parameters }) => ({
    status: 400,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ error: 'invalid_grant', error_description: [...parameters.values()].join(' ') }),
  });
  const spoilt: Record<string, Fault> = {
    'an id_token that is none': faults.rewrite((answer) => ({ ...answer, id_token: 'x.y.z' })),
    'an id_token with another signature': faults.rewrite((answer) => ({
      ...answer,
      id_token: `${String(answer.id_token)}A`,
    })),
    'a token type that nobody knows': faults.rewrite((answer) => ({ ...answer, token_type: 'mac' })),
    'an access token that is a number': faults.rewrite((answer) => ({ ...answer, access_token: 7 })),
    'an error that repeats the request': echo,
    'no refresh token': faults.rewrite(({ refresh_token: _refresh, ...answer }) => answer),
  };
  for (const [what, fault] of Object.entries(spoilt)) {
    it(`carries no secret after ${what}`, async () => {
      provider.setFault(fault);
      const error = await signIn();
      assert.ok(error instanceof Error, inspect(error));
      assertClean(error);
    });
  }

  it('carries none either when it is an outcome', async () => {
    const client = { ...accountAt(provider).client, token_endpoint_auth_method: 'client_secret_post' as const };
    const refreshToken = new Secret('a-refresh-token/of+nobody=');
    provider.setFault(echo);
    assertClean(await exchangeRefreshToken(client, refreshToken, new Secret(CLIENT_SECRET)));
    provider.setFault(echo, ENDPOINT.revocation);
    assertClean(await revokeRefreshToken(client, refreshToken, new Secret(CLIENT_SECRET)));
    provider.setFault(undefined, ENDPOINT.revocation);
  });

  it('carries none as a success, which somebody may log', async () => {
    assertClean(await signIn());
  });
});
