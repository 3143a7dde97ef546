/** Sign-ins at a real authorization server, whose answers are as odd as those of others. */
import assert from 'node:assert/strict';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { OAuthClient } from '../../../../src/lib/accounts/account.ts';
import { CmsError } from '../../../../src/lib/core/errors.ts';
import { signInManually } from '../../../../src/lib/oauth/sign-in/authorization-code.ts';
import { signInWithDevice } from '../../../../src/lib/oauth/sign-in/device.ts';
import { discover } from '../../../../src/lib/oauth/client/discover.ts';
import { exchangeRefreshToken } from '../../../../src/lib/oauth/token/refresh.ts';
import type { SignedIn } from '../../../../src/lib/oauth/sign-in/sign-in.ts';
import { Secret } from '../../../../src/lib/core/secret.ts';
import { approveDevice, signInForCallbackUrl } from '../../../support/person.ts';
import {
  CONFIDENTIAL_CLIENT,
  type EmbeddedProvider,
  ENDPOINT,
  type Fault,
  faults,
  type ProviderOptions,
  startProvider,
} from '../../../support/provider.ts';

const JANE = 'jane@example.org';

describe('a sign-in', function () {
  this.timeout(20_000);
  let provider: EmbeddedProvider;

  const start = async (options: ProviderOptions = {}): Promise<void> => {
    provider = await startProvider({ refreshTokens: 'rotate-keeping-old', ...options });
  };
  afterEach(() => provider.stop());

  const clientOf = async (change: Partial<OAuthClient> = {}): Promise<OAuthClient> => {
    const { registration_endpoint: _unused, ...server } = await discover(provider.issuer);
    return {
      ...server,
      client_id: provider.clientId,
      token_endpoint_auth_method: 'none',
      scope: 'openid email offline_access mail.smtp',
      authorization_params: { prompt: 'consent' },
      redirect: { host: '127.0.0.1', path: '/' },
      ...change,
    };
  };

  const signIn = async (change: Partial<OAuthClient> = {}, clientSecret?: Secret): Promise<SignedIn> =>
    signInManually({
      client: await clientOf(change),
      ...(clientSecret !== undefined && { clientSecret }),
      login: JANE,
      signal: AbortSignal.timeout(15_000),
      ask: (url) => signInForCallbackUrl(url, { login: JANE }),
    });

  const fails = async (work: Promise<unknown>, code: string, says: RegExp): Promise<void> => {
    await assert.rejects(work, (error) => {
      assert.ok(error instanceof CmsError, String(error));
      assert.match(error.message, says);
      assert.equal(error.code, code);
      return true;
    });
  };

  describe('whose id_token is signed', () => {
    const userinfoRequests = (): number => provider.allRequests.filter(({ path }) => path === ENDPOINT.userinfo).length;

    for (const algorithm of ['RS256', 'RS512', 'PS256', 'PS384', 'ES256', 'ES384', 'ES512', 'EdDSA']) {
      it(`with ${algorithm} says who signed in`, async () => {
        await start({ idTokenAlgorithm: algorithm });
        assert.equal((await signIn()).identity, JANE);
        assert.equal(userinfoRequests(), 0, 'the id_token was read');
      });
    }

    it('with the client secret says it to a client that has one', async () => {
      await start({ idTokenAlgorithm: 'HS256' });
      const { clientId, clientSecret } = CONFIDENTIAL_CLIENT;
      const change = { client_id: clientId, token_endpoint_auth_method: 'client_secret_post' } as const;
      assert.equal((await signIn(change, new Secret(clientSecret))).identity, JANE);
      assert.equal(userinfoRequests(), 0);
    });

    const withoutIssuer = { issuer: undefined, authorization_response_iss_parameter_supported: false } as object;
    const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const withIdToken = (change: (idToken: string) => unknown): Fault =>
      faults.rewrite((answer) => ({ ...answer, id_token: change(String(answer.id_token)) }));
    const withHeader = (header: object) =>
      withIdToken((idToken) => [encoded(header), ...idToken.split('.').slice(1)].join('.'));

    for (const [what, fault] of [
      ['not at all', withHeader({ alg: 'none' })],
      ['not at all, in other letters', withHeader({ alg: 'None' })],
      ['in a way that it does not name', withHeader({ typ: 'JWT' })],
      ['with an empty signature', withIdToken((idToken) => `${idToken.split('.').slice(0, 2).join('.')}.`)],
    ] as const) {
      it(`${what} is refused`, async () => {
        await start();
        provider.setFault(fault);
        await fails(signIn(), 'protocol_error', /id_token is not acceptable: it is not signed/);
        await fails(signIn(withoutIssuer), 'protocol_error', /it is not signed/);
      });
    }

    for (const [what, fault] of [
      ['encrypted', withIdToken(() => `${encoded({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`)],
      ['signed in a way that nobody knows', withHeader({ alg: 'XY512' })],
      ['signed with a secret that there is not', withHeader({ alg: 'HS256' })],
      ['garbage', withIdToken(() => 'x.y.z')],
      ['garbage behind its header', withIdToken((idToken) => idToken.replace(/\.[^.]+\./, '.!!.'))],
      ['null', withIdToken(() => null)],
      ['empty', withIdToken(() => '')],
      ['a number', withIdToken(() => 7)],
      ['missing', withIdToken(() => undefined)],
    ] as const) {
      it(`or ${what}: then userinfo says it`, async () => {
        await start();
        provider.setFault(fault);
        assert.equal((await signIn()).identity, JANE);
        assert.equal(userinfoRequests(), 1);
      });
    }
  });

  describe('whose answers are compressed although that was not asked for', () => {
    const everywhere = (fault: Fault): void => {
      for (const path of Object.values(ENDPOINT).filter((each) => each !== ENDPOINT.authorization))
        provider.setFault(fault, path);
    };
    const coded =
      (coding: string, encode: (body: Buffer) => Buffer): Fault =>
      async (_request, forward) => {
        const { status, headers, body } = await forward();
        return { status, headers: { ...headers, 'content-encoding': coding }, body: encode(body) };
      };

    for (const [coding, encode] of [
      ['gzip', gzipSync],
      ['GZIP', gzipSync],
      ['deflate', deflateSync],
      ['br', brotliCompressSync],
    ] as const) {
      it(`with ${coding} works, and so does its refresh`, async () => {
        await start();
        everywhere(coded(coding, encode));
        const { refresh_token, identity } = await signIn({ scope: 'openid email offline_access mail.smtp' });
        assert.equal(identity, JANE);
        const outcome = await exchangeRefreshToken(await clientOf(), refresh_token);
        assert.equal(outcome.kind, 'granted');
      });
    }

    it('in a way that is not known is told', async () => {
      await start();
      const client = await clientOf();
      everywhere(coded('zstd', (body) => body));
      const says = /compressed in a way that cms does not know \(zstd\)/;
      await fails(signIn(client), 'temporarily_unavailable', says);
      const outcome = await exchangeRefreshToken(client, new Secret('rt'));
      assert.ok(
        outcome.kind === 'temporary' && outcome.message.includes('compressed in a way that cms does not know (zstd)'),
      );
    });
  });

  /** The same answer, at the sign-in and at the refresh. */
  const TAKEN: Readonly<Record<string, (answer: Record<string, unknown>) => Record<string, unknown>>> = {
    'members that are null': (answer) => ({ ...answer, id_token: null, error: null, resource: null }),
    'no scope': (answer) => ({ ...answer, scope: null }),
    'an empty scope': (answer) => ({ ...answer, scope: '' }),
    'a list of scopes': (answer) => ({ ...answer, scope: String(answer.scope).split(' ') }),
    'a scope that is an object': (answer) => ({ ...answer, scope: { mail: true } }),
    'a lifetime as text': (answer) => ({ ...answer, expires_in: '3599' }),
    'a lifetime with a fraction': (answer) => ({ ...answer, expires_in: 3599.5 }),
    'no lifetime': (answer) => ({ ...answer, expires_in: null }),
    'a lifetime that is a word': (answer) => ({ ...answer, expires_in: 'never' }),
    'a negative lifetime': (answer) => ({ ...answer, expires_in: -1 }),
    'a list of lifetimes': (answer) => ({ ...answer, expires_in: [3600] }),
    'a type in capitals': (answer) => ({ ...answer, token_type: 'BEARER' }),
    'an interval': (answer) => ({ ...answer, interval: '5' }),
  };
  const REFUSED: typeof TAKEN = {
    'no type': ({ token_type: _type, ...answer }) => answer,
    'an empty type': (answer) => ({ ...answer, token_type: '' }),
    'a list of types': (answer) => ({ ...answer, token_type: ['Bearer'] }),
    'the type DPoP': (answer) => ({ ...answer, token_type: 'DPoP' }),
    'the type mac': (answer) => ({ ...answer, token_type: 'mac' }),
    'no token': ({ access_token: _token, ...answer }) => answer,
    'an empty token': (answer) => ({ ...answer, access_token: '' }),
    'a token that is a number': (answer) => ({ ...answer, access_token: 7 }),
    'a token that ends with a line feed': (answer) => ({ ...answer, access_token: `${String(answer.access_token)}\n` }),
    'a token with a blank': (answer) => ({ ...answer, access_token: 'a b' }),
    'a token with a control character': (answer) => ({ ...answer, access_token: 'a\x01b' }),
    'a token that is not ASCII': (answer) => ({ ...answer, access_token: 'tökén' }),
  };
  const tables = Object.entries({ taken: TAKEN, refused: REFUSED });
  for (const [verdict, changes] of tables)
    for (const [what, change] of Object.entries(changes)) {
      it(`with ${what} is ${verdict}, as its refresh is`, async () => {
        await start();
        const { refresh_token } = await signIn();
        provider.setFault(faults.rewrite(change));
        const again = await signIn().then(
          () => 'taken',
          (error: unknown) => (error instanceof CmsError ? 'refused' : String(error)),
        );
        const outcome = await exchangeRefreshToken(await clientOf(), refresh_token);
        assert.deepEqual([again, outcome.kind === 'granted' ? 'taken' : 'refused'], [verdict, verdict]);
      });
    }

  for (const [what, change] of [
    ['a byte order mark', (body: Buffer) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), body])],
    ['empty lines', (body: Buffer) => Buffer.concat([Buffer.from('\r\n\r\n'), body])],
    ['a guard', (body: Buffer) => Buffer.concat([Buffer.from(")]}'\n"), body])],
    ['UTF-16', (body: Buffer) => Buffer.from(`\ufeff${body.toString()}`, 'utf16le')],
  ] as const) {
    it(`whose answers begin with ${what} is taken, as its refresh is`, async () => {
      await start();
      const fault: Fault = async (_request, forward) => {
        const { status, headers, body } = await forward();
        return { status, headers, body: change(body) };
      };
      for (const path of [ENDPOINT.discovery, ENDPOINT.token, ENDPOINT.userinfo]) provider.setFault(fault, path);
      const { refresh_token } = await signIn();
      assert.equal((await exchangeRefreshToken(await clientOf(), refresh_token)).kind, 'granted');
    });
  }

  describe('with a device', () => {
    const signInBy = async (): Promise<SignedIn> =>
      signInWithDevice({
        client: await clientOf(),
        login: JANE,
        signal: AbortSignal.timeout(15_000),
        show: ({ verification_uri, user_code }) => {
          void approveDevice(verification_uri, user_code, { login: JANE });
        },
      });

    it('takes an answer whose numbers are texts and whose address has its old name', async () => {
      await start();
      const odd = faults.rewrite(({ verification_uri, ...answer }) => ({
        ...answer,
        verification_url: verification_uri,
        verification_uri_complete: null,
        interval: '1',
        expires_in: '600',
      }));
      provider.setFault(odd, ENDPOINT.deviceAuthorization);
      assert.equal((await signInBy()).identity, JANE);
    });

    it('goes on where "not yet" is told within a 200', async () => {
      await start();
      const pending = faults.answer(200, { error: 'authorization_pending', error_description: null });
      provider.setFault(faults.first(1, pending));
      assert.equal((await signInBy()).identity, JANE);
    });
  });

  describe('that is refused in another form than that of OAuth', () => {
    for (const [what, fault] of [
      ['an error within a 200', faults.answer(200, { error: 'access_denied', error_description: 'No mail for you.' })],
      ['an error object', faults.answer(400, { error: { code: 'access_denied', message: 'No mail for you.' } })],
      ['plain text', faults.answer(403, 'access_denied: No mail for you.')],
      [
        'a challenge',
        faults.answer(401, '', {
          'www-authenticate': 'Bearer error="access_denied", error_description="No mail for you."',
        }),
      ],
      [
        'a challenge next to the error',
        faults.answer(
          401,
          { error: 'access_denied', error_description: 'No mail for you.' },
          { 'www-authenticate': 'Bearer realm="x"' },
        ),
      ],
    ] as const) {
      it(`(${what}) shows the words`, async () => {
        await start();
        provider.setFault(fault);
        await fails(signIn(), 'access_denied', /refused the sign-in: access_denied \(No mail for you\.\)/);
      });
    }
  });

  it('that is sent elsewhere by the token endpoint says where to, and follows nothing', async () => {
    await start();
    const location = `${provider.issuer}/moved/token?refresh_token=secret`;
    provider.setFault(faults.answer(308, '', { location }));
    await assert.rejects(signIn(), (error) => {
      assert.ok(error instanceof CmsError);
      const moved = `${provider.issuer}/moved/token`;
      assert.ok(
        error.message.includes(`answered 308: it points to ${moved}, and redirects are not followed`),
        error.message,
      );
      assert.ok(error.suggestions.some((line) => line.startsWith(`cms account add ${JANE} --token-endpoint ${moved}`)));
      assert.doesNotMatch(`${error.message} ${error.suggestions.join()}`, /secret/);
      return true;
    });
    assert.equal(provider.allRequests.filter(({ path }) => path === '/moved/token').length, 0);
  });
});
