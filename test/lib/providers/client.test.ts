import assert from 'node:assert/strict';
import { CmsError } from '../../../src/lib/core/errors.ts';
import type { ClientChoice } from '../../../src/lib/providers/client.ts';
import { clientFor, serversFor } from '../../../src/lib/providers/client.ts';
import type { OAuthProvider } from '../../../src/lib/providers/provider.ts';
import { findProvider } from '../../../src/lib/providers/table.ts';
import { parseTenant } from '../../../src/lib/providers/tenant.ts';

const TENANT_ID = '0f0e0d0c-1111-2222-3333-444455556666';

function preset(id: string): OAuthProvider {
  const provider = findProvider(id);
  assert.ok(provider !== undefined && provider.oauth !== 'none');
  return provider;
}

function build(id: string, choice: Partial<ClientChoice> = {}) {
  return clientFor(preset(id), { client_id: 'client', protocols: ['smtp', 'imap'], hasSecret: false, ...choice });
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof CmsError);
    assert.ok(error.suggestions.length > 0, 'no suggestion');
    return error.code;
  }
  return 'none';
}

describe('clientFor', () => {
  it('makes a client of Google', () => {
    assert.deepEqual(build('google', { hasSecret: true }), {
      client_id: 'client',
      token_endpoint_auth_method: 'client_secret_post',
      token_endpoint: 'https://oauth2.googleapis.com/token',
      issuer: 'https://accounts.google.com',
      authorization_endpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
      device_authorization_endpoint: 'https://oauth2.googleapis.com/device/code',
      revocation_endpoint: 'https://oauth2.googleapis.com/revoke',
      userinfo_endpoint: 'https://openidconnect.googleapis.com/v1/userinfo',
      scope: 'https://mail.google.com/ openid email',
      authorization_params: { access_type: 'offline', prompt: 'consent', login_hint: '{login}' },
      redirect: { host: '127.0.0.1', path: '/' },
    });
  });

  it("puts Microsoft's mail scopes first, and leaves identity out of a refresh", () => {
    const client = build('microsoft');
    const mail = 'https://outlook.office.com/SMTP.Send https://outlook.office.com/IMAP.AccessAsUser.All';
    assert.equal(client.scope, `${mail} openid profile email offline_access`);
    assert.equal(client.refresh_scope, `${mail} offline_access`);
    assert.equal(client.token_endpoint_auth_method, 'none');
    assert.equal(client.token_endpoint, 'https://login.microsoftonline.com/organizations/oauth2/v2.0/token');
    assert.equal(client.issuer, 'https://login.microsoftonline.com/{tenantid}/v2.0');
    assert.equal(client.redirect.host, 'localhost');
  });

  it('asks for one protocol alone where only one is wanted', () => {
    assert.equal(
      build('microsoft', { protocols: ['pop'] })
        .scope.split(' ')[0]
        ?.endsWith('/POP.AccessAsUser.All'),
      true,
    );
  });

  it('names no scope twice', () => {
    assert.equal(build('thundermail').scope, 'openid profile email offline_access');
    assert.equal(
      build('custom', { endpoints: { token_endpoint: 'https://as.example/token' } }).scope,
      'openid email offline_access',
    );
  });

  it('writes a tenant id into the endpoints and the issuer, a domain into the endpoints alone', () => {
    const byId = build('microsoft', { tenant: TENANT_ID.toUpperCase() });
    assert.equal(byId.issuer, `https://login.microsoftonline.com/${TENANT_ID}/v2.0`);
    assert.equal(byId.token_endpoint, `https://login.microsoftonline.com/${TENANT_ID}/oauth2/v2.0/token`);
    const byDomain = build('microsoft', { tenant: 'contoso.com' });
    assert.equal(byDomain.issuer, 'https://login.microsoftonline.com/{tenantid}/v2.0');
    assert.match(byDomain.authorization_endpoint ?? '', /microsoftonline\.com\/contoso\.com\/oauth2/);
  });

  it('wants a tenant in the national clouds, and none elsewhere', () => {
    assert.equal(
      codeOf(() => build('microsoft-gcc-high')),
      'config_invalid',
    );
    assert.equal(
      codeOf(() => build('google', { hasSecret: true, tenant: 'contoso.com' })),
      'config_invalid',
    );
    assert.match(
      build('microsoft-gcc-high', { tenant: 'contoso.us' }).token_endpoint,
      /microsoftonline\.us\/contoso\.us\//,
    );
    assert.match(build('microsoft-personal').token_endpoint, /\/consumers\//);
  });

  it('takes other scopes word for word, once each', () => {
    const client = build('microsoft', { scope: ' https://x.example/.default  openid offline_access openid' });
    assert.equal(client.scope, 'https://x.example/.default openid offline_access');
    assert.equal(client.refresh_scope, 'https://x.example/.default offline_access');
  });

  it('lets endpoints that were given replace those of the preset', () => {
    const endpoints = { issuer: 'https://as.example', token_endpoint: 'https://as.example/token' };
    const client = build('custom', { endpoints, redirectPort: 4711 });
    assert.equal(client.issuer, 'https://as.example');
    assert.equal(client.token_endpoint, 'https://as.example/token');
    assert.deepEqual(client.redirect, { host: '127.0.0.1', path: '/', port: 4711 });
    assert.equal(
      codeOf(() => build('custom')),
      'config_invalid',
    );
  });

  it('refuses a client without an id, without a secret that is demanded, and a protocol without tokens', () => {
    assert.equal(
      codeOf(() => build('microsoft', { client_id: ' ' })),
      'client_invalid',
    );
    assert.equal(
      codeOf(() => build('google')),
      'client_invalid',
    );
    assert.equal(
      codeOf(() => build('yandex', { hasSecret: true, protocols: ['pop'] })),
      'protocol_not_granted',
    );
  });

  it('sends a secret that was given although the preset needs none', () => {
    assert.equal(build('microsoft', { hasSecret: true }).token_endpoint_auth_method, 'client_secret_post');
  });

  it('shares nothing with the preset that an account could change', () => {
    build('google', { hasSecret: true }).authorization_params.prompt = 'none';
    assert.equal(preset('google').authorization_params.prompt, 'consent');
  });
});

describe('serversFor', () => {
  it('takes the first server of each protocol', () => {
    assert.deepEqual(serversFor(preset('google'), ['smtp', 'imap']), {
      smtp: { host: 'smtp.gmail.com', port: 465, tls: 'implicit' },
      imap: { host: 'imap.gmail.com', port: 993, tls: 'implicit' },
    });
  });

  it('leaves out what a provider does not have', () => {
    assert.deepEqual(serversFor(preset('custom'), ['smtp', 'imap', 'pop']), {});
    assert.deepEqual(Object.keys(serversFor(preset('thundermail'), ['smtp', 'pop'])), ['smtp']);
  });
});

describe('parseTenant', () => {
  it('takes ids, domains and the groups of tenants', () => {
    assert.deepEqual(parseTenant(TENANT_ID), { name: TENANT_ID, isId: true });
    for (const name of ['contoso.onmicrosoft.com', 'a-b.example', 'common', 'organizations', 'consumers']) {
      assert.deepEqual(parseTenant(name), { name, isId: false });
    }
    assert.deepEqual(parseTenant(' Common\n'), { name: 'common', isId: false });
  });

  for (const text of [
    '',
    'contoso',
    '../common',
    'common/x',
    'a.b/c',
    'a..b',
    'evil.example#',
    '{tenant}',
    'x@y.z',
    '-a.b',
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () =>
      assert.equal(
        codeOf(() => parseTenant(text)),
        'config_invalid',
      ));
  }
});
