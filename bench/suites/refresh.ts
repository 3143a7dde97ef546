/**
 * An hour of ten thousand accounts, without waiting for it: the broker's own ticker works by a clock that is moved on as
 * soon as there is nothing to do. The exchanges are real requests to a token endpoint on loopback, the files are real.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OAuthAccount } from '../../src/lib/accounts/account.ts';
import { Conditions } from '../../src/lib/broker/server/conditions.ts';
import { Refresher } from '../../src/lib/broker/server/refresher.ts';
import { silentLogger } from '../../src/lib/core/log.ts';
import { Notifier } from '../../src/lib/notify/notifier.ts';
import type { Exchange } from '../../src/lib/oauth/token/exchange.ts';
import { exchangeRefreshToken } from '../../src/lib/oauth/token/refresh.ts';
import type { AccessToken } from '../../src/lib/tokens/access-token.ts';
import { TokenService } from '../../src/lib/tokens/service.ts';
import { type Figure, type Findings, quantile } from '../figures.ts';
import { type Home, makeHome } from '../home.ts';
import { startGrantingProvider } from '../provider.ts';
import type { Setting, Suite } from '../setting.ts';
import { Stack } from '../stack.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** What is left of a token, at most, when it is refreshed. */
const OLDEST_MS = 16 * MINUTE_MS;
const MAX_PARALLEL = 8;
const RESOLUTION_MS = 1;
/** The clock goes on by at least this: several accounts are then due in the same moment. */
const STEP_MS = 2000;

export const refresh: Suite = { name: 'refresh', title: 'An hour of refreshes', measure };

async function measure(setting: Setting): Promise<Findings> {
  await using stack = new Stack();
  const { tokenEndpoint } = stack.use(await startGrantingProvider('http'));
  const accounts = setting.pick(300, 10_000);
  // As they stand in a broker that has run for a while: each at another point between two refreshes.
  const expiresIn = (index: number): number => OLDEST_MS + ((HOUR_MS - OLDEST_MS) * (index + 1)) / accounts;
  const home = stack.use(await makeHome({ accounts, tokenEndpoint, lifetime: HOUR_MS, expiresIn }));
  const hour = await pass(home);
  return {
    figures: figuresOf(hour, accounts),
    leftOut: [],
    plots: { refresh: [{ name: 'exchanges', points: hour.perMinute.map((y, x) => ({ x, y })) }] },
  };
}

interface Hour {
  exchanges: number;
  failures: number;
  atOnce: number;
  perMinute: number[];
  /** Event loop, in milliseconds. */
  lag: number;
  /** Milliseconds of the ticks that found little to do. */
  ticks: number[];
}

/** Says when there is nothing to do. */
class CountedTokens extends TokenService {
  underWay = 0;

  override async refreshAhead(account: OAuthAccount): Promise<AccessToken> {
    this.underWay++;
    try {
      return await super.refreshAhead(account);
    } finally {
      this.underWay--;
    }
  }
}

async function pass(home: Home): Promise<Hour> {
  const began = Date.now();
  let clock = began;
  const now = (): number => clock;
  const hour: Hour = { exchanges: 0, failures: 0, atOnce: 0, perMinute: Array<number>(60).fill(0), lag: 0, ticks: [] };
  let underWay = 0;
  const exchange: Exchange = async (...asked) => {
    const minute = Math.floor((clock - began) / MINUTE_MS);
    hour.exchanges++;
    hour.perMinute[minute] = (hour.perMinute[minute] ?? 0) + 1;
    hour.atOnce = Math.max(hour.atOnce, ++underWay);
    const outcome = await exchangeRefreshToken(...asked);
    underWay--;
    if (outcome.kind !== 'granted') hour.failures++;
    return outcome;
  };
  // The daemon looks again soon after each exchange.
  const ticker = { again: false };
  const changed = (): void => void (ticker.again = true);
  const { vault, paths, env } = home.context;
  const log = silentLogger;
  const tokens = new CountedTokens({ vault, exchange, log, now, random: Math.random, resident: true, changed });
  const accounts = home.accounts;
  const lastAskedAt = (): number => clock;
  const refresher = new Refresher({ accounts: () => accounts, tokens, lastAskedAt, now, random: Math.random });
  const notifier = new Notifier({ paths, env, log, uid: process.getuid?.() ?? 0, tokens, now });
  const conditions = new Conditions();
  const broker = { refusedSince: () => undefined, reported: () => [] };
  // What is due at the very start is so because the clock stood still while the accounts were made.
  await refresher.tick();
  while (tokens.underWay > 0) await sleep(1);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  while (clock < began + HOUR_MS) {
    const started = performance.now();
    const wait = await refresher.tick();
    await notifier.observe(accounts, conditions.of(accounts, { tokens, broker, now: clock }));
    hour.ticks.push(performance.now() - started);
    // In this clock an exchange takes no time, but no more of them begin than the broker would let.
    while (tokens.underWay > 0) await sleep(1);
    clock += Math.max(STEP_MS, ticker.again ? 0 : wait);
    ticker.again = false;
  }
  delay.disable();
  notifier.close();
  hour.lag = Math.max(0, delay.percentile(99) / 1e6 - RESOLUTION_MS);
  return { ...hour, perMinute: hour.perMinute.slice(0, 60) };
}

function figuresOf({ exchanges, failures, atOnce, perMinute, lag, ticks }: Hour, accounts: number): Figure[] {
  if (failures > 0) throw new Error(`${failures} of ${exchanges} exchanges failed`);
  const mean = exchanges / perMinute.length;
  const busiest = Math.max(...perMinute);
  const who = `${accounts.toLocaleString('en')} accounts`;
  return [
    {
      id: 'refresh.parallel',
      title: `exchanges at once, ${who}`,
      unit: 'exchanges',
      value: atOnce,
      target: { of: 'value', most: MAX_PARALLEL },
      note: `${exchanges.toLocaleString('en')} in the hour`,
    },
    {
      id: 'refresh.burst',
      title: 'exchanges in the busiest minute',
      unit: 'exchanges',
      value: busiest,
      reference: { title: 'those of a minute on average', value: mean },
      ratio: busiest / mean,
      target: { of: 'ratio', most: 2 },
    },
    {
      id: 'refresh.lag',
      title: 'the event loop is late, p99',
      unit: 'ms',
      value: lag,
      target: { of: 'value', most: 50 },
      note: 'the hour in as little time as it takes',
    },
    {
      id: 'refresh.tick',
      title: `one tick with the states of ${who}, median`,
      unit: 'ms',
      value: quantile(ticks, 0.5),
    },
  ];
}
