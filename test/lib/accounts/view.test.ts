import assert from 'node:assert/strict';
import type { OAuthAccount } from '../../../src/lib/accounts/account.ts';
import { accountView, grantView } from '../../../src/lib/accounts/view.ts';

const account: OAuthAccount = {
  kind: 'oauth',
  address: 'a@b.c',
  provider: 'custom',
  login: 'a@b.c',
  smtp_user: 'a@b.c',
  imap_user: 'a@b.c',
  aliases: [],
  protocols: ['smtp'],
  servers: {},
  created_at: '2026-01-01T00:00:00.000Z',
  client: {
    client_id: 'id',
    token_endpoint_auth_method: 'none',
    token_endpoint: 'https://x/token',
    scope: 's',
    authorization_params: {},
    redirect: { host: '127.0.0.1', path: '/' },
  },
};
const header = { address: 'a@b.c', grant_id: 'secret-ish', state: 'active', signed_in_at: 0 } as const;

describe('what is shown of an account', () => {
  it('is the account and its client, nothing that was not there', () => {
    const view = accountView(account);
    assert.deepEqual([view.client_id, view.token_endpoint, 'issuer' in view], ['id', 'https://x/token', false]);
    const { client: _client, ...rest } = account;
    assert.equal('client_id' in accountView({ ...rest, kind: 'password' }), false);
  });

  it('is its state in one word, with the reason', () => {
    assert.deepEqual(grantView(undefined), { state: 'not_signed_in', reason: 'no sign-in is stored' });
    assert.deepEqual(grantView(header), { state: 'ok', signed_in_at: '1970-01-01T00:00:00.000Z' });
    const failure = { code: 'temporarily_unavailable', message: 'down', at: 0, retry_at: 1, count: 1 } as const;
    assert.deepEqual(
      [grantView({ ...header, failure }).state, grantView({ ...header, failure }).reason],
      ['failing', 'down'],
    );
    const reason = { error: 'invalid_grant', description: 'expired', at: 0 };
    const refused = grantView({ ...header, state: 'authorization_required', reason, failure });
    assert.deepEqual([refused.state, refused.reason], ['authorization_required', 'invalid_grant: expired']);
  });
});
