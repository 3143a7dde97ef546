import assert from 'node:assert/strict';
import { Conditions } from '../../../../src/lib/broker/server/conditions.ts';
import type { StateParts } from '../../../../src/lib/broker/server/status.ts';
import type { GrantRecord } from '../../../../src/lib/vault/grant.ts';
import { CmsError } from '../../../../src/lib/core/errors.ts';
import { Troubles } from '../../../../src/lib/tokens/troubles.ts';
import { Changes } from '../../../../src/lib/tokens/changes.ts';
import { oauthAccount } from '../../exim/fixtures.ts';

const NOW = Date.parse('2026-06-01T12:00:00Z');
const JANE = oauthAccount('jane@example.org');
const GRANT: GrantRecord = {
  address: JANE.address,
  grant_id: 'first',
  state: 'active',
  signed_in_at: NOW - 60_000,
  issued_at: NOW - 60_000,
  expires_at: NOW + 3_540_000,
  secrets: {},
};

describe('the conditions of the accounts', () => {
  let changes: Changes;
  let known: GrantRecord | undefined;
  let troubles: Troubles;

  beforeEach(() => {
    changes = new Changes();
    known = undefined;
    troubles = new Troubles(
      () => NOW,
      (address) => changes.note(address),
    );
  });

  function parts(record: GrantRecord | undefined, { refusedSince, unstored = [] }: Trouble = {}): StateParts {
    const tokens = {
      known: () => record,
      unstored: new Map(unstored.map((address) => [address, NOW])),
      changes,
      troubles,
    };
    if (record !== known) changes.note(JANE.address);
    known = record;
    return {
      now: NOW,
      tokens: tokens as unknown as StateParts['tokens'],
      broker: { refusedSince: () => refusedSince, reported: () => (refusedSince === undefined ? [] : [JANE.address]) },
    };
  }

  interface Trouble {
    refusedSince?: number;
    unstored?: string[];
  }

  it('are the same object as long as the grant is the same and works', () => {
    const conditions = new Conditions();
    const [first] = conditions.of([JANE], parts(GRANT));
    assert.deepEqual(first, {
      state: 'ok',
      address: JANE.address,
      provider: JANE.provider,
      grant: 'first',
      last_refresh_at: '2026-06-01T11:59:00.000Z',
    });
    assert.equal(conditions.of([JANE], parts(GRANT))[0], first);
    assert.notEqual(conditions.of([JANE], parts({ ...GRANT, issued_at: NOW }))[0], first);
    assert.equal(conditions.of([{ ...JANE, provider: 'other' }], parts(GRANT))[0]?.provider, 'other');
  });

  it('say what is wrong although the same grant has worked before', () => {
    const conditions = new Conditions();
    conditions.of([JANE], parts(GRANT));
    const stateWith = (trouble: Trouble): string | undefined => conditions.of([JANE], parts(GRANT, trouble))[0]?.state;
    assert.equal(stateWith({ refusedSince: NOW }), 'refused');
    assert.equal(stateWith({ unstored: [JANE.address] }), 'degraded');
    assert.equal(stateWith({}), 'ok');
    troubles.note(JANE.address, 'write', new CmsError('io_error', 'cannot write: ENOSPC', { suggestions: ['df -h'] }));
    const [view] = conditions.of([JANE], parts(GRANT));
    assert.deepEqual(
      [view?.state, view?.code, view?.reason, view?.remedy],
      ['failing', 'io_error', 'cannot write: ENOSPC', 'df -h'],
    );
    troubles.clear(JANE.address, 'lock');
    assert.equal(stateWith({}), 'failing');
    troubles.clear(JANE.address, 'write');
    assert.equal(stateWith({}), 'ok');
  });

  it('are unknown where no grant has been read', () => {
    assert.equal(new Conditions().of([JANE], parts(undefined))[0]?.state, 'unknown');
  });

  it('stay with their account when others come and go before it', () => {
    const conditions = new Conditions();
    const [jane] = conditions.of([JANE, oauthAccount('zoe@example.org')], parts(GRANT));
    const after = conditions.of([oauthAccount('amy@example.org'), JANE], parts(GRANT));
    assert.equal(after[1], jane);
    assert.deepEqual(
      after.map(({ address }) => address),
      ['amy@example.org', JANE.address],
    );
  });

  it('are looked at only where the grant is said to have changed, or all of them', () => {
    const conditions = new Conditions();
    const accounts = [JANE];
    const [first] = conditions.of(accounts, parts(GRANT));
    const other = parts({ ...GRANT, grant_id: 'second' });
    assert.equal(conditions.of(accounts, other)[0]?.grant, 'second');
    const silent = {
      ...other,
      tokens: { unstored: new Map(), changes, troubles, known: () => GRANT } as unknown as StateParts['tokens'],
    };
    assert.equal(conditions.of(accounts, silent)[0]?.grant, 'second');
    changes.noteAll();
    assert.equal(conditions.of(accounts, silent)[0]?.grant, first?.grant);
  });
});
