import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { GrantRecord } from '../../../src/lib/vault/grant.ts';
import {
  bindingOf,
  isBoundTo,
  isRevocableAt,
  refreshTokensToTry,
  withAttempt,
  withFailure,
  withGranted,
  withRefusal,
} from '../../../src/lib/tokens/rotation.ts';
import { Secret } from '../../../src/lib/core/secret.ts';
import { grantSecrets, revealed } from '../../support/secrets.ts';

const NOW = 1_800_000_000_000;
const record: GrantRecord = {
  address: 'jane@example.org',
  grant_id: 'g',
  state: 'active',
  signed_in_at: NOW - 1000,
  issued_at: NOW - 1000,
  expires_at: NOW,
  secrets: grantSecrets({
    refresh_token: 'one',
    refresh_token_accepted: false,
    access_token: 'old',
    client_secret: 'cs',
    scope: 'a',
  }),
};
const granted = { kind: 'granted', access_token: new Secret('new'), expires_in: 60 } as const;

describe('a grant', () => {
  it('keeps the token that was used beside the one it brought', () => {
    const next = withGranted(
      withAttempt(record, NOW),
      new Secret('one'),
      { ...granted, refresh_token: new Secret('two') },
      NOW,
    );
    assert.deepEqual(revealed(next.secrets), {
      refresh_token: 'two',
      refresh_token_accepted: false,
      previous_refresh_token: 'one',
      access_token: 'new',
      client_secret: 'cs',
      scope: 'a',
    });
    assert.deepEqual([next.issued_at, next.expires_at, next.grant_id], [NOW, NOW + 60_000, 'g']);
  });

  it('ends when the provider says, and not when it said so of the token before', () => {
    const ended = { ...record, refresh_token_expires_at: NOW + 50_000 };
    const after = (before: GrantRecord, more: object): unknown[] => {
      const next = withGranted(before, new Secret('one'), { ...granted, ...more }, NOW);
      return [next.refresh_token_expires_at, next.refresh_token_extended];
    };
    const rotated = { refresh_token: new Secret('two') };
    assert.deepEqual(after(record, {}), [undefined, undefined]);
    assert.deepEqual(after(record, { refresh_token_expires_in: 9 }), [NOW + 9000, undefined]);
    assert.deepEqual(after(ended, {}), [NOW + 50_000, undefined], 'still the same token');
    assert.deepEqual(after(ended, rotated), [undefined, undefined]);
    assert.deepEqual(
      after(ended, { refresh_token_expires_in: 51 }),
      [NOW + 51_000, undefined],
      'the same end, rounded',
    );
    assert.deepEqual(after(ended, { ...rotated, refresh_token_expires_in: 1800 }), [NOW + 1_800_000, true]);
    const extended = { ...ended, refresh_token_extended: true };
    assert.deepEqual(after(extended, { refresh_token_expires_in: 50 }), [NOW + 50_000, true]);
  });

  it('without a new refresh token, or with the same, shows that the one used is accepted', () => {
    for (const answer of [granted, { ...granted, refresh_token: new Secret('one') }]) {
      const { secrets } = revealed(withGranted(record, new Secret('one'), answer, NOW));
      assert.deepEqual([secrets.refresh_token, secrets.refresh_token_accepted], ['one', true]);
      assert.equal('previous_refresh_token' in secrets, false);
    }
  });

  it('clears what went wrong before', () => {
    const refused = withRefusal(
      withFailure(record, { code: 'client_invalid', message: 'x' }, NOW, 0),
      'e',
      undefined,
      NOW,
    );
    const next = withGranted(refused, new Secret('one'), granted, NOW);
    assert.deepEqual([next.state, next.reason, next.failure], ['active', undefined, undefined]);
  });
});

describe('an error', () => {
  it('never takes a refresh token away, whatever comes in whatever order', () => {
    const step = fc.constantFrom(
      (r: GrantRecord) => withRefusal(r, 'invalid_grant', 'x', NOW),
      (r: GrantRecord) => withFailure(r, { code: 'temporarily_unavailable', message: 'x' }, NOW, 0.5),
      (r: GrantRecord) => withFailure(r, { code: 'client_invalid', message: 'x' }, NOW, 0.5),
      (r: GrantRecord) => withAttempt(r, NOW),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const end = steps.reduce((each, take) => take(each), record);
        const { attempt: _attempt, ...secrets } = end.secrets;
        assert.deepEqual(revealed(secrets), revealed(record.secrets));
      }),
    );
  });

  it('remembers when a person was first needed, however often somebody insists', () => {
    const first = withRefusal(record, 'invalid_grant', undefined, NOW);
    const again = withRefusal(withRefusal(first, 'invalid_grant', undefined, NOW + 5), 'x', undefined, NOW + 9);
    assert.deepEqual([again.reason?.since, again.reason?.at], [NOW, NOW + 9]);
  });

  it('counts failures in a row', () => {
    const failure = { code: 'temporarily_unavailable', message: 'x' } as const;
    const hour = { ...record, issued_at: NOW - 3_600_000 };
    const twice = withFailure(withFailure(hour, failure, NOW, 1), failure, NOW, 1);
    assert.deepEqual([twice.failure?.count, twice.failure?.retry_at], [2, NOW + 4000]);
    const short = withFailure({ ...record, issued_at: NOW - 20_000 }, failure, NOW, 1);
    assert.equal(withFailure(short, failure, NOW, 1).failure?.retry_at, NOW + 2000);
  });
});

describe('the tokens to try', () => {
  const toTry = (secrets: Parameters<typeof grantSecrets>[0]) => revealed(refreshTokensToTry(grantSecrets(secrets)));

  it('include the one before only while the newest was never accepted', () => {
    assert.deepEqual(toTry({ refresh_token: 'b', previous_refresh_token: 'a', refresh_token_accepted: false }), [
      'b',
      'a',
    ]);
    assert.deepEqual(toTry({ refresh_token: 'b', previous_refresh_token: 'a', refresh_token_accepted: true }), ['b']);
    assert.deepEqual(toTry({ refresh_token: 'b' }), ['b']);
    assert.deepEqual(toTry({}), []);
  });
});

describe('the binding', () => {
  const client = {
    client_id: 'c',
    token_endpoint: 'https://x/token',
    issuer: 'https://x',
    revocation_endpoint: 'https://x/revoke',
    token_endpoint_auth_method: 'none',
    scope: '',
    authorization_params: {},
    redirect: { host: '127.0.0.1', path: '/' },
  } as const;
  const secrets = { binding: bindingOf(client) };

  it('holds for the server and the client that it was made with', () => {
    assert.equal(isBoundTo(secrets, client), true);
    assert.equal(isRevocableAt(secrets, client), true);
    assert.equal(isBoundTo(secrets, { ...client, scope: 'other' }), true);
  });

  it('breaks with any change of them, or where there is none', () => {
    const { issuer: _issuer, ...withoutIssuer } = client;
    for (const other of [
      { ...client, client_id: 'd' },
      { ...client, token_endpoint: 'https://y/token' },
      { ...client, issuer: 'https://y' },
      withoutIssuer,
    ])
      assert.equal(isBoundTo(secrets, other), false);
    assert.equal(isBoundTo({}, client), false);
    assert.equal(isRevocableAt(secrets, { ...client, revocation_endpoint: 'https://y/revoke' }), false);
  });
});
