import assert from 'node:assert/strict';
import { type Condition, decide, type Outages, refreshed } from '../../../src/lib/notify/decide.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const T0 = Date.parse('2026-01-05T12:00:00Z');

const fine: Condition = { address: 'a@b.c', provider: 'custom', state: 'ok', grant: 'g1' };
const revoked: Condition = {
  ...fine,
  state: 'authorization_required',
  code: 'authorization_required',
  reason: 'invalid_grant',
  since: new Date(T0).toISOString(),
  remedy: 'cms account add a@b.c',
};
const locked: Condition = { address: 'a@b.c', provider: 'custom', state: 'locked', code: 'store_locked' };
const failing: Condition = { ...fine, state: 'failing', code: 'temporarily_unavailable', reason: 'no answer' };
const refused: Condition = { ...fine, state: 'refused', code: 'access_denied' };
const unknown: Condition = { address: 'a@b.c', provider: 'custom', state: 'unknown' };

/** What is told at which time, as `minute name[ reminder]`. */
function story(moments: readonly [number, Condition][], { reminder = DAY, before = new Map() as Outages } = {}) {
  let told = before;
  return moments.flatMap(([minute, condition]) => {
    const { events, outages } = decide([condition], told, T0 + minute * MINUTE, reminder);
    told = outages;
    return events.map(({ name, reminder: again }) => `${minute} ${name}${again ? ' reminder' : ''}`);
  });
}

describe('what is told about an account', () => {
  it('is an outage once, however often it is looked at, and its end once', () => {
    const looks = Array.from({ length: 50 }, (_, minute): [number, Condition] => [minute, revoked]);
    assert.deepEqual(story([[0, fine], ...looks, [60, fine], [61, fine]]), [
      '0 authorization_required',
      '60 recovered',
    ]);
  });

  it('says what, since when and what to do', () => {
    const { events } = decide([revoked], new Map(), T0 + MINUTE, DAY);
    assert.deepEqual(events, [
      {
        name: 'authorization_required',
        address: 'a@b.c',
        provider: 'custom',
        state: 'authorization_required',
        code: 'authorization_required',
        reason: 'invalid_grant',
        since: '2026-01-05T12:00:00.000Z',
        remedy: 'cms account add a@b.c',
        reminder: false,
      },
    ]);
  });

  it('is told again at each interval while it lasts', () => {
    const day = DAY / MINUTE;
    const moments = [0, 1, day - 1, day, day + 1, 2 * day].map((at): [number, Condition] => [at, revoked]);
    assert.deepEqual(story(moments), [
      '0 authorization_required',
      `${day} authorization_required reminder`,
      `${2 * day} authorization_required reminder`,
    ]);
    assert.deepEqual(story(moments, { reminder: 0 }), ['0 authorization_required']);
  });

  it('says when it wants to be asked again', () => {
    assert.equal(decide([revoked], new Map(), T0, DAY).next, T0 + DAY);
    assert.equal(decide([revoked], new Map(), T0, 0).next, Infinity);
    assert.equal(decide([{ ...locked, since: revoked.since ?? '' }], new Map(), T0, DAY).next, T0 + 5 * MINUTE);
    assert.equal(decide([fine], new Map(), T0, DAY).next, Infinity);
  });

  it('is nothing while an outage may still pass by itself', () => {
    assert.deepEqual(story([0, 4].map((at) => [at, locked])), []);
    assert.deepEqual(
      story([
        [0, locked],
        [4, locked],
        [4.5, fine],
      ]),
      [],
      'nor is its end',
    );
    assert.deepEqual(story([0, 4, 5, 6].map((at) => [at, locked])), ['5 degraded']);
    assert.deepEqual(story([0, 59, 60].map((at) => [at, failing])), ['60 degraded']);
  });

  it('is a client that the provider refuses, and a login that the mail server refuses, at once', () => {
    assert.deepEqual(story([[0, { ...failing, code: 'client_invalid' }]]), ['0 authorization_required']);
    assert.deepEqual(story([[0, refused]]), ['0 authorization_required']);
  });

  it('is told anew when what might have passed turns out to need a person, and not the other way round', () => {
    assert.deepEqual(
      story([
        [0, locked],
        [6, locked],
        [7, revoked],
        [8, locked],
        [20, locked],
        [21, fine],
      ]),
      ['6 degraded', '7 authorization_required', '21 recovered'],
    );
  });

  it('does not take the silence after a refused login for its end', () => {
    const hour = 60;
    assert.deepEqual(
      story([
        [0, refused],
        [6, fine],
        [30, refused],
        [36, fine],
        [2 * hour, { ...fine, grant: 'g2' }],
      ]),
      ['0 authorization_required', '120 recovered'],
    );
    assert.deepEqual(
      story([
        [0, refused],
        [6, fine],
        [25 * hour, fine],
        [26 * hour, refused],
      ]),
      ['0 authorization_required', '1560 authorization_required'],
    );
    assert.deepEqual(
      story([
        [0, refused],
        [6, { ...fine, grant: 'g1' }],
        [7, unknown],
        [8, refused],
      ]),
      ['0 authorization_required'],
    );
  });

  it('is a new outage after a new sign-in', () => {
    assert.deepEqual(
      story([
        [0, revoked],
        [1, { ...revoked, grant: 'g2' }],
      ]),
      ['0 authorization_required', '1 authorization_required'],
    );
  });

  it('waits while nothing is known, as after a restart', () => {
    const { outages } = decide([revoked], new Map(), T0, DAY);
    assert.deepEqual(
      story(
        [
          [1, unknown],
          [2, revoked],
        ],
        { before: outages },
      ),
      [],
    );
    assert.deepEqual(
      story(
        [
          [1, unknown],
          [2, fine],
        ],
        { before: outages },
      ),
      ['2 recovered'],
    );
  });

  it('is nothing about an account that has been removed', () => {
    const { outages } = decide([revoked], new Map(), T0, DAY);
    assert.deepEqual(decide([], outages, T0, DAY), { events: [], outages: new Map(), next: Infinity });
  });

  it('is each new access token of the same sign-in', () => {
    const before = new Map([['a@b.c', { ...fine, last_refresh_at: '1' }]]);
    const events = (condition: Condition): string[] => refreshed([condition], before).map(({ name }) => name);
    assert.deepEqual(events({ ...fine, last_refresh_at: '2' }), ['refreshed']);
    assert.deepEqual(events({ ...fine, last_refresh_at: '1' }), []);
    assert.deepEqual(events({ ...fine, last_refresh_at: '2', grant: 'g2' }), []);
    assert.deepEqual(refreshed([{ ...fine, last_refresh_at: '2' }], new Map()), [], 'nor what a start finds');
  });
});
