import assert from 'node:assert/strict';
import fc from 'fast-check';
import { lifetimeSeconds, refreshTokenLifetimeSeconds } from '../../../../src/lib/oauth/token/lifetime.ts';

describe('the lifetime of a token', () => {
  it('is never longer than a week, never negative, and an hour where it makes no sense', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const seconds = lifetimeSeconds(value);
        assert.ok(seconds >= 0 && seconds <= 604_800);
        if (typeof value === 'number' && value >= 0) assert.ok(seconds <= value || Number.isNaN(value));
      }),
    );
    for (const nonsense of [undefined, null, '', 'soon', '-1', '1e3', {}, NaN])
      assert.equal(lifetimeSeconds(nonsense), 3600);
    assert.deepEqual(['60', 60.5, -1, Infinity].map(lifetimeSeconds), [60, 60.5, 0, 604_800]);
  });
});

describe('the lifetime of a refresh token', () => {
  it('is read where the provider says it, in the words of Google and of Keycloak', () => {
    assert.equal(refreshTokenLifetimeSeconds({ refresh_token_expires_in: 604_799 }), 604_799);
    assert.equal(refreshTokenLifetimeSeconds({ refresh_expires_in: '1800' }), 1800);
    assert.equal(refreshTokenLifetimeSeconds({ expires_in: 60 }), undefined);
  });

  it('has no end with 0, with nonsense and with ages', () => {
    const values = [0, -1, NaN, Infinity, 1e10, '', 'never', '1e9', null, {}, true];
    for (const value of values) assert.equal(refreshTokenLifetimeSeconds({ refresh_expires_in: value }), undefined);
  });
});
