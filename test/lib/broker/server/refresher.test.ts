import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Conditions } from '../../../../src/lib/broker/server/conditions.ts';
import { Refresher } from '../../../../src/lib/broker/server/refresher.ts';
import { CmsError } from '../../../../src/lib/core/errors.ts';
import { silentLogger as log } from '../../../../src/lib/core/log.ts';
import { decide } from '../../../../src/lib/notify/decide.ts';
import { exchangeRefreshToken as exchange } from '../../../../src/lib/oauth/token/refresh.ts';
import type { GrantRecord } from '../../../../src/lib/vault/grant.ts';
import { Changes } from '../../../../src/lib/tokens/changes.ts';
import { Troubles } from '../../../../src/lib/tokens/troubles.ts';
import { TokenService } from '../../../../src/lib/tokens/service.ts';
import { temporaryHome } from '../../../support/environment.ts';
import { startProvider } from '../../../support/provider.ts';
import { passwordAccount } from '../../exim/fixtures.ts';
import { JANE, signInAccount } from '../../tokens/signed-in.ts';

const START = Date.parse('2026-06-01T12:00:00Z');
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

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

describe('a refresh token that ends when it is not used', () => {
  it('is used in time although nobody asks for the account', async function () {
    this.timeout(30_000);
    const provider = await startProvider();
    const home = await temporaryHome({ env: { CMS_STORE: 'file' } });
    const uptime = process.uptime.bind(process);
    let ahead = 0;
    process.uptime = () => uptime() + ahead / 1000;
    try {
      const { context, account } = await signInAccount(home.env, provider);
      const now = (): number => Date.now() + ahead;
      const random = (): number => 0;
      const tokens = new TokenService({ vault: context.vault, exchange, log, now, random, resident: true });
      const accounts = [account];
      const refresher = new Refresher({ tokens, now, random, lastAskedAt: () => 0, accounts: () => accounts });
      // The start of the broker counts as a question, for a day.
      ahead += 25 * HOUR_MS;
      const record = await context.vault.read(JANE);
      assert.ok(record);
      const issued_at = now();
      const ends = { expires_at: issued_at + HOUR_MS, refresh_token_expires_at: issued_at + 12 * HOUR_MS };
      await context.vault.write({ ...record, signed_in_at: issued_at, issued_at, ...ends });
      await refresher.tick();
      assert.equal(provider.count('refresh_token'), 0);
      ahead += 7 * HOUR_MS;
      await refresher.tick();
      while (provider.count('refresh_token') === 0) await sleep(10);
      await tokens.close();
      assert.equal(provider.count('refresh_token'), 1);
    } finally {
      process.uptime = uptime;
      await provider.stop();
      await home.remove();
    }
  });
});

describe('a token whose refresh fails several times in a row', () => {
  it('is tried again when its grant says so, not later and later', async () => {
    const provider = await startProvider();
    const home = await temporaryHome({ env: { CMS_STORE: 'file' } });
    const uptime = process.uptime.bind(process);
    // A pause of the refresher's own would never end.
    const still = uptime();
    process.uptime = () => still;
    try {
      const { context, account } = await signInAccount(home.env, provider, { age: 2 * HOUR_MS });
      provider.setFault(() => ({ status: 503, body: 'busy' }));
      const [now, random] = [(): number => Date.now(), (): number => 0];
      const tokens = new TokenService({ vault: context.vault, exchange, log, now, random, resident: true });
      const accounts = [account];
      const refresher = new Refresher({ tokens, now, random, lastAskedAt: now, accounts: () => accounts });
      while (provider.count('refresh_token') < 5) {
        await refresher.tick();
        await sleep(5);
      }
      await tokens.close();
      assert.ok((tokens.known(JANE)?.failure?.count ?? 0) >= 5);
    } finally {
      process.uptime = uptime;
      await provider.stop();
      await home.remove();
    }
  });
});
