import assert from 'node:assert/strict';
import type { Account, OAuthAccount } from '../../../src/lib/accounts/account.ts';
import {
  type AccountWishes,
  endpointsFromFlags,
  planAccount,
  type ClientPlan,
  planClient,
  protocolsFor,
  refuseTakenAliases,
} from '../../../src/lib/enrol/plan.ts';
import { Secret } from '../../../src/lib/core/secret.ts';
import { provider } from './preset.ts';

const JANE = 'jane@example.org';
const custom = provider('custom');
const endpoints = {
  issuer: 'https://as.example',
  authorization_endpoint: 'https://as.example/auth',
  token_endpoint: 'https://as.example/token',
};
const nobody = {
  address: JANE,
  protocols: ['smtp'],
  wishes: {},
  before: undefined,
  hadSecret: false,
} satisfies ClientPlan;
const client = planClient(custom, {
  ...nobody,
  protocols: ['smtp', 'imap'],
  wishes: { clientId: 'id', scope: 'mail', endpoints },
});
const before: OAuthAccount = {
  kind: 'oauth',
  address: JANE,
  provider: 'custom',
  login: 'boss@example.org',
  smtp_user: 'sales',
  imap_user: 'boss@example.org',
  aliases: ['team@example.org'],
  protocols: ['smtp'],
  servers: { smtp: { host: 'smtp.example.org', port: 2525, tls: 'starttls' } },
  created_at: '2025-01-01T00:00:00.000Z',
  client,
};
const plan = (wishes: AccountWishes, old?: Account) =>
  planAccount(JANE, wishes, old, custom, '2026-01-01T00:00:00.000Z');

describe('the plan of an account', () => {
  it('starts from its address', () => {
    const { login, smtp_user, imap_user, aliases, protocols, created_at } = plan({});
    assert.deepEqual([login, smtp_user, imap_user, aliases], [JANE, JANE, JANE, []]);
    assert.deepEqual([protocols, created_at], [['smtp', 'imap'], '2026-01-01T00:00:00.000Z']);
  });

  it('keeps everything of before that nothing names', () => {
    const { client: _client, ...rest } = before;
    assert.deepEqual(plan({}, before), { ...rest, kind: 'password' });
  });

  it('changes what is named and nothing else', () => {
    const planned = plan({ login: 'Ann@Example.org', aliases: ['A@x.org', 'a@x.org', JANE, '@Y.org'] }, before);
    assert.equal(planned.login, 'ann@example.org');
    assert.deepEqual(planned.aliases, ['a@x.org', '@y.org']);
    assert.equal(planned.smtp_user, 'sales');
  });

  it('takes no servers from another provider', () => {
    assert.deepEqual(planAccount(JANE, {}, before, provider('google'), '').servers.smtp?.host, 'smtp.gmail.com');
  });

  for (const [what, wish, expected] of [
    ['a host alone', { host: 'New.example.org' }, { host: 'new.example.org', port: 587, tls: 'starttls' }],
    ['the host of before', { host: 'smtp.example.org' }, { host: 'smtp.example.org', port: 2525, tls: 'starttls' }],
    ['port 465', { port: 465 }, { host: 'smtp.example.org', port: 465, tls: 'implicit' }],
    ['another port', { port: 26 }, { host: 'smtp.example.org', port: 26, tls: 'starttls' }],
    ['another kind of TLS', { tls: 'implicit' }, { host: 'smtp.example.org', port: 465, tls: 'implicit' }],
    ['all of it', { host: 'a.b', port: 1, tls: 'implicit' }, { host: 'a.b', port: 1, tls: 'implicit' }],
  ] as const) {
    it(`completes a server of which ${what} is given`, () => {
      assert.deepEqual(plan({ servers: { smtp: wish } }, before).servers.smtp, expected);
    });
  }

  it('refuses a port without a server, and names that are none', () => {
    assert.throws(() => plan({ servers: { imap: { port: 993 } } }), { code: 'usage' });
    assert.throws(() => plan({ servers: { imap: { host: 'a b' } } }), { code: 'data_invalid' });
    assert.throws(() => plan({ login: 'a b' }), { code: 'data_invalid' });
    assert.throws(() => plan({ aliases: ['*'] }), { code: 'data_invalid' });
  });

  it('puts protocols in one order and asks only for those that the provider has', () => {
    assert.deepEqual(protocolsFor({ protocols: ['pop', 'smtp', 'pop'] }, before, custom), ['smtp', 'pop']);
    assert.deepEqual(protocolsFor({}, before, custom), ['smtp']);
  });
});

describe('the plan of a client', () => {
  it('keeps client, endpoints, scopes and port of before', () => {
    const fixed = { ...before, client: { ...client, redirect: { ...client.redirect, port: 4711 } } };
    assert.deepEqual(planClient(custom, { ...nobody, before: fixed }), fixed.client);
  });

  it('keeps a secret for its own client at its own server only', () => {
    const method = (wishes: ClientPlan['wishes']): string =>
      planClient(custom, { ...nobody, wishes, before, hadSecret: true }).token_endpoint_auth_method;
    assert.equal(method({}), 'client_secret_post');
    assert.equal(method({ clientId: 'id' }), 'client_secret_post');
    assert.equal(method({ endpoints: { token_endpoint: 'https://as.example/v2/token' } }), 'client_secret_post');
    assert.equal(method({ clientId: 'other' }), 'none');
    assert.equal(method({ endpoints: { token_endpoint: 'https://evil.example/token' } }), 'none');
    assert.equal(method({ clientId: 'other', clientSecret: new Secret('x') }), 'client_secret_post');
  });

  it('starts afresh at another provider, and needs a client then', () => {
    assert.throws(() => planClient(provider('google'), { ...nobody, before, hadSecret: true }), {
      code: 'client_invalid',
    });
    assert.throws(() => planClient(custom, { ...nobody, wishes: { clientId: 'id' } }), { code: 'config_invalid' });
  });

  it('checks every endpoint that is given by hand', () => {
    assert.deepEqual(endpointsFromFlags({ 'token-endpoint': 'https://x/t', 'client-id': 'ignored' }), {
      token_endpoint: 'https://x/t',
    });
    for (const name of [
      'authorization-endpoint',
      'token-endpoint',
      'device-authorization-endpoint',
      'revocation-endpoint',
    ]) {
      assert.throws(() => endpointsFromFlags({ [name]: 'http://x.example/' }), { code: 'config_invalid' });
    }
  });
});

describe('aliases', () => {
  const others = { 'bob@x.org': { ...before, address: 'bob@x.org', aliases: ['info@x.org', '@y.org'] } };

  it('belong to one account', () => {
    for (const alias of ['info@x.org', '@y.org', 'bob@x.org']) {
      assert.throws(() => refuseTakenAliases({ ...before, aliases: ['ok@x.org', alias] }, others), {
        code: 'config_invalid',
        message: `${alias} belongs to the account bob@x.org already`,
      });
    }
    assert.doesNotThrow(() => refuseTakenAliases({ ...before, aliases: ['a@y.org'] }, { ...others, [JANE]: before }));
  });
});
