import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { discover } from '../../../../src/lib/oauth/client/discover.ts';

type Answer = [status: number, body: unknown, headers?: Record<string, string>];

describe('discovery', () => {
  let server: Server;
  let origin: string;
  let answers: Record<string, Answer>;

  beforeEach(async () => {
    answers = {};
    server = createServer((request, response) => {
      const [status, body, headers = {}] = answers[request.url ?? ''] ?? [404, 'nothing here'];
      response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const metadata = (issuer: string, more: object = {}): Answer => [
    200,
    { issuer, token_endpoint: 'https://x.example/token', authorization_endpoint: 'https://x.example/auth', ...more },
  ];

  it('reads OpenID Connect metadata below the issuer’s path, and takes what is known of it', async () => {
    const issuer = `${origin}/realms/mail`;
    answers['/realms/mail/.well-known/openid-configuration'] = metadata(issuer, {
      revocation_endpoint: 'https://x.example/revoke',
      authorization_response_iss_parameter_supported: true,
      code_challenge_methods_supported: ['plain', 'S256'],
      something_else: 7,
    });
    assert.deepEqual(await discover(issuer), {
      issuer,
      token_endpoint: 'https://x.example/token',
      authorization_endpoint: 'https://x.example/auth',
      revocation_endpoint: 'https://x.example/revoke',
      authorization_response_iss_parameter_supported: true,
    });
  });

  it('looks at the place of RFC 8414 next, and forgives a final slash', async () => {
    answers['/.well-known/oauth-authorization-server/as'] = metadata(`${origin}/as`);
    assert.equal((await discover(`${origin}/as/`)).issuer, `${origin}/as`);
  });

  it('looks further after a page that is not JSON', async () => {
    answers['/.well-known/openid-configuration'] = [200, '<html>an application</html>'];
    answers['/.well-known/oauth-authorization-server'] = metadata(origin);
    assert.equal((await discover(origin)).issuer, origin);
  });

  for (const [what, more, says] of [
    ['the name of another issuer', { issuer: 'https://evil.example' }, /says that its issuer is/],
    ['no issuer', { issuer: undefined }, /says that its issuer is/],
    ['PKCE without S256', { code_challenge_methods_supported: ['plain'] }, /PKCE/],
    ['no token endpoint', { token_endpoint: undefined }, /no token endpoint/],
    ['a token endpoint in clear text', { token_endpoint: 'http://x.example/token' }, /plain http/],
    ['a jwks_uri with credentials', { jwks_uri: 'https://a:b@x.example/' }, /credentials/],
  ] as const) {
    it(`refuses ${what}`, async () => {
      answers['/.well-known/openid-configuration'] = metadata(origin, more);
      await assert.rejects(discover(origin), (error: Error) => {
        assert.match(error.message, says);
        return (error as { code?: string }).code === 'config_invalid';
      });
    });
  }

  const OPTIONAL = [
    'device_authorization_endpoint',
    'revocation_endpoint',
    'userinfo_endpoint',
    'jwks_uri',
    'registration_endpoint',
  ];
  for (const name of OPTIONAL) {
    it(`leaves out ${name} where it is of no use, and says so`, async () => {
      for (const value of [null, '', '/relative', 'x.example/y', 'http://x.example/y', 'https://x.example/#y', 7, {}]) {
        answers['/.well-known/openid-configuration'] = metadata(origin, { [name]: value });
        const notes: string[] = [];
        const server = await discover(origin, undefined, undefined, { note: (text) => notes.push(text) });
        assert.equal(name in server, false, JSON.stringify(value));
        assert.equal(notes.length, 1, JSON.stringify(value));
        assert.match(notes[0] ?? '', /^the .+ that 127\.0\.0\.1:\d+ publishes (?:is|has) .+; it is left out$/);
      }
    });
  }

  for (const [name, flag] of [
    ['token_endpoint', '--token-endpoint'],
    ['authorization_endpoint', '--authorization-endpoint'],
  ] as const) {
    it(`names ${flag} where ${name} cannot be used, and is content once it is given`, async () => {
      for (const value of ['/relative', 'http://x.example/y', 7]) {
        answers['/.well-known/openid-configuration'] = metadata(origin, { [name]: value });
        await assert.rejects(discover(origin), { code: 'config_invalid', suggestions: [`${flag} URL`] });
        const given = { [name]: 'https://x.example/own' };
        assert.equal((await discover(origin, undefined, undefined, { given })).issuer, origin);
      }
    });
  }

  it('says where a redirect points, and does not follow it', async () => {
    const paths = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server'];
    for (const status of [301, 302, 303, 307, 308]) {
      const location = 'https://new.example/realms/a/.well-known/openid-configuration?session=secret#x';
      for (const path of paths) answers[path] = [status, '', { location }];
      await assert.rejects(discover(origin), (error: Error & { code?: string; suggestions?: string[] }) => {
        assert.equal(error.code, 'config_invalid');
        assert.ok(error.message.includes(`answers ${status} `), error.message);
        assert.match(error.message, /points to https:\/\/new\.example\/realms\/a\/\.well-known\/openid-configuration,/);
        assert.match(error.suggestions?.[0] ?? '', /^--issuer https:\/\/new\.example\/realms\/a /);
        assert.doesNotMatch(`${error.message} ${error.suggestions?.join() ?? ''}`, /secret/);
        return true;
      });
    }
  });

  it('names no issuer where a redirect points to something else', async () => {
    const location = 'https://portal.example/login;jsessionid=secret';
    answers['/.well-known/openid-configuration'] = [302, '', { location }];
    await assert.rejects(discover(origin), (error: Error & { suggestions?: string[] }) => {
      assert.match(error.message, /points to https:\/\/portal\.example\/login, and/);
      return !(error.suggestions ?? []).join().includes('--issuer');
    });
  });

  it('says that the metadata are closed', async () => {
    for (const status of [401, 403]) {
      answers['/.well-known/openid-configuration'] = [status, 'Forbidden'];
      await assert.rejects(discover(origin), { code: 'config_invalid', message: new RegExp(`answers ${status} when`) });
    }
  });

  it('tells a server without metadata from one that is unwell or not there', async () => {
    await assert.rejects(discover(origin), { code: 'config_invalid' });
    answers['/.well-known/openid-configuration'] = [503, '<html>down</html>'];
    await assert.rejects(discover(origin), { code: 'temporarily_unavailable' });
    server.close();
    server.closeAllConnections();
    await assert.rejects(discover(origin), { code: 'temporarily_unavailable' });
    await assert.rejects(discover('ftp://x'), { code: 'config_invalid' });
  });
});
