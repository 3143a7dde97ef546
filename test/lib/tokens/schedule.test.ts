import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  answers,
  isUnexpired,
  mustWait,
  refreshAt,
  retryAfterClientError,
  retryAt,
} from '../../../src/lib/tokens/schedule.ts';
import type { GrantRecord } from '../../../src/lib/vault/grant.ts';

const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const demand = { began: NOW, minValiditySeconds: 600, force: false };
const issued = (age: number, lifetime = HOUR) => ({ issued_at: NOW - age, expires_at: NOW - age + lifetime });

describe('whether a token answers a request', () => {
  for (const [what, token, change, expected] of [
    ['one that lives long enough', issued(10 * MINUTE), {}, true],
    ['one with ten minutes left', issued(50 * MINUTE), {}, true],
    ['one with less than ten minutes', issued(50 * MINUTE + 1), {}, false],
    ['one with half its short life', issued(3 * MINUTE, 6 * MINUTE), {}, true],
    ['one with less than half its short life', issued(3 * MINUTE + 1, 6 * MINUTE), {}, false],
    ['one of this very minute, however short', issued(59_999, 61_000), {}, true],
    ['one that has expired', issued(HOUR), {}, false],
    ['one issued since the request began', issued(-1), { force: true }, true],
    ['one that had expired when it was issued, but just now', issued(0, 0), {}, true],
    ['a fresh one, when a newer is insisted on', issued(1), { force: true }, false],
    ['one from the future', issued(-2 * MINUTE), {}, false],
    ['none', {}, {}, false],
  ] as const) {
    it(`${what}: ${String(expected)}`, () => {
      assert.equal(answers(token, { ...demand, ...change }, NOW), expected);
    });
  }

  it('counts a token as expired in the very millisecond in which it ends', () => {
    const token = issued(MINUTE);
    assert.ok(isUnexpired(token, token.expires_at - 1));
    assert.ok(!isUnexpired(token, token.expires_at));
  });

  it('takes for newer only what is not the token that it was to follow', () => {
    const otherThan = NOW - MINUTE;
    assert.equal(answers(issued(MINUTE), { ...demand, otherThan }, NOW), false);
    assert.equal(answers(issued(MINUTE - 1), { ...demand, otherThan }, NOW), true);
  });

  it('is never said of a token that has expired before the request began', () => {
    const times = fc.integer({ min: -DAY, max: DAY });
    fc.assert(
      fc.property(times, fc.integer({ min: 0, max: DAY }), fc.nat(100_000), (age, lifetime, minValiditySeconds) => {
        const token = issued(age, lifetime);
        if (!answers(token, { ...demand, minValiditySeconds }, NOW)) return;
        assert.ok(isUnexpired(token, NOW) || token.issued_at >= demand.began);
      }),
    );
  });
});

describe('a refresh ahead of time', () => {
  const record = { ...issued(0), signed_in_at: NOW } as GrantRecord;

  it('comes before anybody would have to wait, and not all at once', () => {
    for (const random of [0, 0.5, 1]) {
      const at = refreshAt(record, NOW, NOW, random);
      assert.ok(at < record.expires_at! - 10 * MINUTE && at > NOW + HOUR / 2, String(random));
    }
    assert.notEqual(refreshAt(record, NOW, NOW, 0), refreshAt(record, NOW, NOW, 1));
  });

  it('is rare where nobody asked for a day', () => {
    const at = refreshAt(record, NOW - DAY - 1, NOW, 0);
    assert.equal(at, NOW + 3 * DAY);
  });

  it('comes at once for a token of the future, whose end is not known', () => {
    for (const ahead of [2 * MINUTE, 2 * HOUR, 30 * DAY])
      for (const asked of [NOW, 0]) assert.equal(refreshAt({ ...record, ...issued(-ahead) }, asked, NOW, 0.5), NOW);
  });

  for (const lifetime of [20_000, 30 * MINUTE, 12 * HOUR, 5 * DAY]) {
    it(`comes before a refresh token ends that lives for ${lifetime / 1000} s unused`, () => {
      const first = { ...record, refresh_token_expires_at: NOW + lifetime };
      const later = { ...first, signed_in_at: NOW - DAY, refresh_token_extended: true };
      for (const [each, asked, random] of [
        [first, NOW - 2 * DAY, 0],
        [first, NOW, 1],
        [later, NOW - 2 * DAY, 1],
        [later, NOW, 0],
      ] as const) {
        const at = refreshAt(each, asked, NOW, random);
        assert.ok(at > NOW && at <= NOW + lifetime / 2, String(at - NOW));
      }
    });
  }

  it('is no race to the end of a refresh token that ends all the same', () => {
    const end = NOW + 12 * HOUR;
    let [at, count] = [NOW, 0];
    while (at < end && count < 100) {
      const issuedNow = { ...record, issued_at: at, expires_at: at + HOUR, refresh_token_expires_at: end };
      at = refreshAt({ ...issuedNow, signed_in_at: NOW }, NOW - 2 * DAY, at, 0);
      count++;
    }
    assert.ok(count < 10, String(count));
  });

  it('is left to demand where the provider says that tokens live for no time at all', () => {
    for (const life of [0, 1000]) {
      const short = { ...record, issued_at: NOW, expires_at: NOW + life };
      assert.ok(refreshAt(short, NOW, NOW, 0) > NOW + DAY, String(life));
    }
  });
});

describe('the next attempt', () => {
  it('comes when the provider says, within an hour', () => {
    assert.equal(retryAt(NOW, 1, 1, { retryAfterSeconds: 120 }), NOW + 120_000);
    assert.equal(retryAt(NOW, 1, 1, { retryAfterSeconds: 1e9 }), NOW + HOUR);
  });

  it('comes no earlier than by our own schedule, whatever the provider says', () => {
    for (const said of [0, -5, -1e9, Number.NaN, 0.001])
      assert.equal(retryAt(NOW, 3, 1, { retryAfterSeconds: said }), NOW + 8000, String(said));
    for (let count = 1; count < 20; count++) assert.ok(retryAt(NOW, count, 0.5) >= NOW + 1000, String(count));
    assert.equal(retryAt(NOW, 1, 1, { retryAfterSeconds: Infinity }), NOW + HOUR);
  });

  it('comes soon enough for several attempts while a token of seconds still lives', () => {
    const waits = [1, 2, 3, 4].map((count) => retryAt(0, count, 1, { lifetime: 20_000 }));
    assert.deepEqual(waits, [2000, 2000, 2000, 2000]);
    assert.equal(retryAt(0, 9, 1, { lifetime: 5 * 60_000 }), 30_000);
    assert.equal(retryAt(0, 9, 1, { lifetime: HOUR }), 300_000);
    assert.equal(retryAt(0, 1, 1, { lifetime: 20_000, retryAfterSeconds: 30 }), 30_000);
  });

  it('else comes at any time under a bound that doubles up to five minutes', () => {
    assert.deepEqual(
      [1, 2, 3, 20, 2000].map((count) => retryAt(0, count, 1)),
      [2000, 4000, 8000, 300_000, 300_000],
    );
    assert.equal(retryAt(NOW, 5, 0), NOW);
    assert.equal(retryAfterClientError(NOW), NOW + HOUR);
  });

  it('waits for nothing that a clock noted which was set back since', () => {
    assert.equal(mustWait({ at: NOW - 1, retry_at: NOW + 1 }, NOW), true);
    assert.equal(mustWait({ at: NOW - 1, retry_at: NOW }, NOW), false);
    assert.equal(mustWait({ at: NOW + DAY, retry_at: NOW + DAY + 1 }, NOW), false);
    assert.equal(mustWait({ at: NOW + 1, retry_at: NOW + HOUR }, NOW), false);
  });
});
