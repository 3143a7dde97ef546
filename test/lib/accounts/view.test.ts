import assert from 'node:assert/strict';
import type { OAuthAccount } from '../../../src/lib/accounts/account.ts';
import { accountView, grantView, stateOfGrant, stateOfTrouble } from '../../../src/lib/accounts/view.ts';
import { CmsError } from '../../../src/lib/core/errors.ts';

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
    const mend = 'cms account add a@b.c';
    const required = { state: 'authorization_required', code: 'authorization_required', remedy: mend };
    assert.deepEqual(grantView('a@b.c', undefined), { ...required, reason: 'no sign-in is stored' });
    assert.deepEqual(grantView('a@b.c', header), { state: 'ok', signed_in_at: '1970-01-01T00:00:00.000Z' });
    const failure = {
      code: 'temporarily_unavailable',
      message: 'down',
      at: 5000,
      since: 1000,
      retry_at: 9000,
      count: 2,
    } as const;
    const failing = stateOfGrant({ ...header, failure });
    assert.deepEqual([failing.state, failing.reason, failing.since], ['failing', 'down', '1970-01-01T00:00:01.000Z']);
    assert.match(failing.remedy ?? '', /^cms token a@b\.c --force-refresh {3}# tries again$/);
    const reason = { error: 'invalid_grant', description: 'expired', at: 0 };
    assert.deepEqual(stateOfGrant({ ...header, state: 'authorization_required', reason, failure }), {
      ...required,
      explanation: 'the sign-in has expired, was revoked, or ended when the password was changed',
      who: 'you',
      reason: 'invalid_grant: expired',
      since: '1970-01-01T00:00:00.000Z',
    });
  });

  it('is tried again by a broker, at a time that is told in the time zone of its host', () => {
    const zone = process.env.TZ;
    process.env.TZ = 'Asia/Kolkata';
    const failure = { code: 'temporarily_unavailable', message: 'down', at: 0, since: 0, retry_at: 9000 } as const;
    const { remedy } = stateOfGrant({ ...header, failure: { ...failure, count: 1 } }, {}, true);
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
    assert.equal(remedy, 'tried again by itself at 05:30:09; at once: cms token a@b.c --force-refresh');
  });

  it("is explained: what a client's fault means and who mends it, and nothing where nobody knows", () => {
    const failure = { at: 0, since: 0, retry_at: 9, count: 1, code: 'client_invalid' } as const;
    const message = 'invalid_client (AADSTS7000222: The provided client secret keys are expired.)';
    const known = stateOfGrant({ ...header, failure: { ...failure, message } });
    assert.deepEqual([known.explanation, known.who], ['the secret of the client has expired', 'client owner']);
    assert.match(known.remedy ?? '', /^create a new secret/);
    const unknown = stateOfGrant({ ...header, failure: { ...failure, message: 'strange (words)' } });
    assert.deepEqual([unknown.explanation, unknown.reason], [undefined, 'strange (words)']);
    assert.match(unknown.remedy ?? '', /--client-id ID/);
  });

  it('is locked, or unreadable, where the grant cannot be read', () => {
    const locked = new CmsError('store_locked', 'the keyring is locked', { suggestions: ['cms unlock'] });
    assert.deepEqual(stateOfTrouble('a@b.c', locked, 0), {
      state: 'locked',
      code: 'store_locked',
      reason: 'the keyring is locked',
      since: '1970-01-01T00:00:00.000Z',
      remedy: 'cms unlock',
    });
    assert.equal(stateOfTrouble('a@b.c', new CmsError('data_invalid', 'damaged')).state, 'unreadable');
  });
});
