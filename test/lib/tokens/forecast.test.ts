import assert from 'node:assert/strict';
import fc from 'fast-check';
import { refreshTokenLifetimes } from '../../../src/lib/providers/presets/refresh-token-lifetimes.ts';
import { forecast, livesAfter } from '../../../src/lib/tokens/forecast.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const BEGAN = Date.UTC(2026, 10, 1);
const ACTIVE = { state: 'active', signed_in_at: BEGAN, issued_at: BEGAN } as const;
const GOOGLE = refreshTokenLifetimes('https://oauth2.googleapis.com/token');
const MICROSOFT = refreshTokenLifetimes('https://login.microsoftonline.com/organizations/oauth2/v2.0/token');

describe('the forecast of the next sign-in', () => {
  it('is now for an account that needs one', () => {
    const { certainty, at } = forecast({ ...ACTIVE, state: 'authorization_required' }, GOOGLE, BEGAN);
    assert.deepEqual({ certainty, at }, { certainty: 'due', at: undefined });
  });

  it('is what the provider stated, whatever else is known', () => {
    const grant = { ...ACTIVE, refresh_token_expires_at: BEGAN + 3 * DAY };
    const { certainty, at } = forecast(grant, GOOGLE, BEGAN + DAY);
    assert.deepEqual({ certainty, at }, { certainty: 'stated', at: BEGAN + 3 * DAY });
  });

  it('does not count down to an end that each refresh moves on', () => {
    const grant = { ...ACTIVE, refresh_token_expires_at: BEGAN + HOUR, refresh_token_extended: true };
    assert.equal(forecast(grant, [], BEGAN).certainty, 'unused');
  });

  it('is the earlier of what was stated and what was learned', () => {
    const grant = { ...ACTIVE, refresh_token_expires_at: BEGAN + 30 * DAY, sign_in_lives: [DAY, DAY + HOUR] };
    const { certainty, at } = forecast(grant, [], BEGAN);
    assert.deepEqual({ certainty, at }, { certainty: 'learned', at: BEGAN + DAY });
  });

  it('names 7 days for Google as a possibility, with its condition', () => {
    const { certainty, at, reason } = forecast(ACTIVE, GOOGLE, BEGAN + DAY);
    assert.deepEqual({ certainty, at }, { certainty: 'possible', at: BEGAN + 7 * DAY });
    assert.equal(reason, '7 days after the sign-in, if the consent screen of the client is in "Testing"');
  });

  it('gives that possibility up once a sign-in has outlived it', () => {
    assert.equal(forecast(ACTIVE, GOOGLE, BEGAN + 8 * DAY).certainty, 'unused');
    assert.equal(forecast({ ...ACTIVE, sign_in_lives: [40 * DAY] }, GOOGLE, BEGAN).certainty, 'unused');
    assert.equal(forecast({ ...ACTIVE, sign_in_lives: [7 * DAY] }, GOOGLE, BEGAN).certainty, 'possible');
  });

  it('counts idle and sliding lifetimes from the last refresh', () => {
    const used = { ...ACTIVE, issued_at: BEGAN + 50 * DAY };
    const { certainty, at } = forecast(used, MICROSOFT, BEGAN + 51 * DAY);
    assert.deepEqual({ certainty, at }, { certainty: 'unused', at: BEGAN + 140 * DAY });
    assert.equal(forecast(used, GOOGLE, BEGAN + 51 * DAY).at, BEGAN + 230 * DAY);
  });

  it('takes a fixed lifetime without a condition for stated', () => {
    const { certainty, at } = forecast(ACTIVE, [{ kind: 'fixed', days: 30 }], BEGAN);
    assert.deepEqual({ certainty, at }, { certainty: 'stated', at: BEGAN + 30 * DAY });
  });

  it('is unknown for a server that nothing is known of', () => {
    const lifetimes = refreshTokenLifetimes('https://oauth2.googleapis.com.example.org/token');
    assert.deepEqual(lifetimes, []);
    assert.equal(forecast(ACTIVE, lifetimes, BEGAN).certainty, 'unknown');
  });

  it('recognises a policy after two equal lives, and says which', () => {
    const lives = [14 * DAY + 10 * 60_000, 14 * DAY + HOUR];
    const { certainty, at, reason } = forecast({ ...ACTIVE, sign_in_lives: lives }, MICROSOFT, BEGAN + DAY);
    assert.deepEqual({ certainty, at }, { certainty: 'learned', at: BEGAN + 14 * DAY + 10 * 60_000 });
    assert.equal(reason, 'the last 2 sign-ins ended after 14 days');
  });

  it('learns nothing from one life, nor from two that differ', () => {
    for (const lives of [[14 * DAY], [14 * DAY, 3 * DAY], [14 * DAY, 14 * DAY, 3 * DAY]]) {
      assert.equal(forecast({ ...ACTIVE, sign_in_lives: lives }, [], BEGAN).certainty, 'unknown', String(lives));
    }
  });

  it('counts only the newest lives that agree', () => {
    const { reason } = forecast({ ...ACTIVE, sign_in_lives: [90 * DAY, DAY, DAY, DAY] }, [], BEGAN);
    assert.equal(reason, 'the last 3 sign-ins ended after 24 hours');
  });

  it('drops what it has learned once a sign-in lives longer', () => {
    const grant = { ...ACTIVE, sign_in_lives: [DAY, DAY] };
    assert.equal(forecast(grant, [], BEGAN + DAY + HOUR).certainty, 'learned');
    assert.equal(forecast(grant, [], BEGAN + DAY + 3 * HOUR).certainty, 'unknown');
  });
});

describe('the lives of sign-ins', () => {
  const ended = (life: number, lives: number[] = []): Parameters<typeof livesAfter>[0] => ({
    state: 'authorization_required',
    signed_in_at: BEGAN,
    reason: { error: 'invalid_grant', at: BEGAN + life },
    sign_in_lives: lives,
  });

  it('grow by one that has ended, and only the last five are kept', () => {
    assert.deepEqual(livesAfter(ended(DAY), BEGAN + 2 * DAY), [DAY]);
    assert.deepEqual(livesAfter(ended(6, [1, 2, 3, 4, 5]), BEGAN + DAY), [2, 3, 4, 5, 6]);
  });

  it('stay when somebody signs in before the end, and go when the end did not come', () => {
    const working = { state: 'active', signed_in_at: BEGAN, sign_in_lives: [DAY, DAY] } as const;
    assert.deepEqual(livesAfter({ ...working, sign_in_lives: [DAY, DAY] }, BEGAN + HOUR), [DAY, DAY]);
    assert.deepEqual(livesAfter({ ...working, sign_in_lives: [DAY, DAY] }, BEGAN + 2 * DAY), []);
  });

  it('are not measured across a clock that was set back', () => {
    assert.deepEqual(livesAfter(ended(-DAY, [DAY]), BEGAN), [DAY]);
  });

  it('with any policy, seen an access token late, lead to a forecast at or a little after its end', () => {
    const policy = fc.integer({ min: 8 * HOUR, max: 120 * DAY });
    const late = fc.array(fc.integer({ min: 0, max: 90 * 60_000 }), { minLength: 2, maxLength: 7 });
    fc.assert(
      fc.property(policy, late, (life, delays) => {
        let lives: number[] = [];
        for (const delay of delays) lives = livesAfter(ended(life + delay, lives), BEGAN + 2 * life + 2 * HOUR);
        const { certainty, at = 0 } = forecast({ ...ACTIVE, sign_in_lives: lives }, MICROSOFT, BEGAN);
        assert.equal(certainty, 'learned');
        assert.ok(at >= BEGAN + life && at <= BEGAN + life + 90 * 60_000);
      }),
    );
  });

  it('of any lengths give a forecast that lies ahead of what has been outlived, or none', () => {
    const life = fc.integer({ min: 1, max: 400 * DAY });
    fc.assert(
      fc.property(fc.array(life, { maxLength: 6 }), life, (lives, age) => {
        const { certainty, at } = forecast({ ...ACTIVE, sign_in_lives: lives }, GOOGLE, BEGAN + age);
        assert.ok(['learned', 'possible', 'unused'].includes(certainty));
        if (certainty === 'learned') assert.ok((at ?? 0) - BEGAN >= age / 1.26, 'not long past');
        if (certainty === 'possible') assert.ok(age <= 7.25 * DAY);
      }),
    );
  });
});
