import assert from 'node:assert/strict';
import { Conditions } from '../../../src/lib/broker/conditions.ts';
import { Refresher } from '../../../src/lib/broker/refresher.ts';
import { CmsError } from '../../../src/lib/errors.ts';
import { decide } from '../../../src/lib/notify/decide.ts';
import type { GrantRecord } from '../../../src/lib/store/grant.ts';
import { Changes } from '../../../src/lib/token/changes.ts';
import { Troubles } from '../../../src/lib/token/troubles.ts';
import type { TokenService } from '../../../src/lib/token/service.ts';
import { passwordAccount } from '../exim/fixtures.ts';

const START = Date.parse('2026-06-01T12:00:00Z');
const MINUTE_MS = 60_000;

describe('an app password in a locked keyring', () => {
  it('is told as any other account is, until it can be read', async () => {
    const account = passwordAccount('pw@example.org');
    const record: GrantRecord = {
      address: account.address,
      grant_id: 'g',
      state: 'active',
      signed_in_at: 0,
      secrets: {},
    };
    const changes = new Changes();
    let clock = START;
    let known: GrantRecord | undefined;
    const troubles = new Troubles(
      () => clock,
      (address) => changes.note(address),
    );
    const locked = new CmsError('store_locked', 'the keyring is locked');
    let load = (): Promise<GrantRecord> => {
      troubles.note(account.address, 'read', locked);
      return Promise.reject(locked);
    };
    const service = { known: () => known, load: () => load(), unstored: new Map(), changes, troubles };
    const tokens = service as unknown as TokenService;
    const accounts = [account];
    const options = { tokens, now: () => clock, random: () => 0, lastAskedAt: () => 0 };
    const refresher = new Refresher({ ...options, accounts: () => accounts });
    const conditions = new Conditions();
    const look = () => {
      const broker = { refusedSince: () => undefined, reported: () => [] };
      return conditions.of(accounts, { now: clock, tokens, broker });
    };

    await refresher.tick();
    const first = decide(look(), new Map(), clock, 0);
    assert.deepEqual([first.events, first.next], [[], START + 5 * MINUTE_MS]);
    clock += 5 * MINUTE_MS;
    await refresher.tick();
    const late = decide(look(), first.outages, clock, 0);
    assert.deepEqual(
      late.events.map(({ name, code, state }) => [name, code, state]),
      [['degraded', 'store_locked', 'locked']],
    );
    load = () => {
      known = record;
      troubles.clear(account.address, 'read');
      changes.note(account.address);
      return Promise.resolve(record);
    };
    clock += MINUTE_MS;
    await refresher.tick();
    assert.equal(decide(look(), late.outages, clock, 0).events[0]?.name, 'recovered');
  });
});
