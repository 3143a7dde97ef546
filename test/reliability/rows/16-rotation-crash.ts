import { setTimeout as sleep } from 'node:timers/promises';
import { type Row, Checks, Site, killHard, quantile, randomPause, timed } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { faults, type ProviderOptions } from '../../support/provider.ts';

/** Rotations under way at each kill: every one of them is another point. */
const ACCOUNTS = 10;
/** A provider somewhere on the Internet. */
const PROVIDER_MS = 250;

interface Outcome {
  points: number;
  lost: number;
  problems: string[];
  /** From the provider's answer until the new token was stored and acknowledged. */
  windowMs: number[];
}

export const rotationCrash: Row = {
  number: 16,
  title: 'kill -9 at 200 random points of a rotation',
  target: 'nothing lost where old tokens are kept, for good or 30 s long; >= 99 % with strict reuse detection',
  async run(scale) {
    const checks = new Checks();
    const rounds = scale.pick(2, 20);
    const keep = await crashes(rounds, { refreshTokens: 'keep' });
    const old = await crashes(rounds, { refreshTokens: 'rotate-keeping-old' });
    const grace = await crashes(rounds, { refreshTokens: 'rotate', reuseGrace: 30 });
    for (const { problems, lost } of [keep, old, grace]) {
      checks.all(problems);
      checks.that(lost === 0, `${lost} grants lost`);
    }
    const strict = await crashes(rounds, { refreshTokens: 'rotate' });
    checks.all(strict.problems);
    const share = 1 - strict.lost / strict.points;
    // 20 points say nothing about one in a hundred.
    if (!scale.quick) checks.that(share >= 0.99, `${strict.lost} of ${strict.points} grants lost to strict reuse detection`);
    const window = quantile(strict.windowMs, 0.5);
    return checks.measured(
      `0 of ${keep.points + old.points + grace.points} lost; strict: ${strict.lost} of ${strict.points}; ` +
        `window ${window.toFixed(0)} ms (median) of ${PROVIDER_MS} + ${window.toFixed(0)} ms`,
    );
  },
};

async function crashes(rounds: number, provider: ProviderOptions): Promise<Outcome> {
  const addresses = Array.from({ length: ACCOUNTS }, (_each, index) => `user${index}@example.org`);
  await using site = await Site.open({ provider, addresses });
  const outcome: Outcome = { points: 0, lost: 0, problems: [], windowMs: [] };
  site.provider.setFault(faults.delay(PROVIDER_MS));
  for (let round = 0; round < rounds; round++) {
    const broker = await site.serve();
    for (const address of addresses) await site.ask(`SMTP ${address}`);
    if (round === 0) outcome.windowMs = await windows(site, addresses);
    const rotations = addresses.map(async (address) => {
      await randomPause(PROVIDER_MS);
      return site.ask(`REFRESH ${address}`);
    });
    await sleep(Math.random() * 2 * PROVIDER_MS);
    await killHard(broker);
    await Promise.all(rotations);
    const reuseRevokes = provider.refreshTokens === 'rotate' && provider.reuseGrace === undefined;
    const { problems, revoked } = await nothingLost(site, { reuseRevokes });
    outcome.problems.push(...problems);
    outcome.points += addresses.length;
    outcome.lost += revoked.length;
    for (const address of revoked) await site.signIn(address);
  }
  return outcome;
}

async function windows(site: Site, addresses: readonly string[]): Promise<number[]> {
  const values: number[] = [];
  for (const address of addresses) {
    const { ms } = await timed(() => site.ask(`REFRESH ${address}`));
    values.push(Math.max(0, ms - PROVIDER_MS));
  }
  return values;
}
