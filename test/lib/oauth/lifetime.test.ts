import assert from 'node:assert/strict';
import fc from 'fast-check';
import { lifetimeSeconds } from '../../../src/lib/oauth/lifetime.ts';

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
