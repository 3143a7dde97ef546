import { setTimeout as sleep } from 'node:timers/promises';
import { type Row, Checks, Site, killHard, quantile, randomPause, timed } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { faults, type ProviderOptions } from '../../support/provider.ts';

/** Rotations under way at each kill: every one of them is another point. */
const ACCOUNTS = 10;
/** A provider somewhere on the Internet. */
const PROVIDER_MS = 250;
/** A token of an hour is refreshed about this often. */
const ROTATION_INTERVAL_MS = 50 * 60 * 1000;

const KEEPING: readonly ProviderOptions[] = [
  { refreshTokens: 'rotate', reuseGrace: 30 },
  { refreshTokens: 'rotate-keeping-old' },
  { refreshTokens: 'keep' },
];

interface Outcome {
  points: number;
  /** Of the points, those between the request to the provider and the stored answer. */
  underWay: number;
  lost: number;
  /** Lost although nothing was under way. */
  lostOutside: number;
  problems: string[];
}

export const rotationCrash: Row = {
  number: 16,
  title: 'kill -9 at 200 random points of a rotation',
  target:
    'nothing lost where old tokens are kept, for good or for 30 s; with strict reuse detection only while an exchange ' +
    'is under way, < 1 % of all moments',
  async run(scale) {
    const checks = new Checks();
    const rounds = scale.pick(2, 20);
    let kept = 0;
    for (const provider of scale.pick(KEEPING.slice(0, 1), KEEPING)) {
      const { problems, lost, points } = await crashes(rounds, provider);
      checks.all(problems);
      checks.that(lost === 0, `${lost} grants lost`);
      kept += points;
    }
    const strict = await crashes(rounds, { refreshTokens: 'rotate' });
    checks.all(strict.problems);
    checks.that(strict.lostOutside === 0, `${strict.lostOutside} grants lost outside an exchange`);
    const windowMs = await exchangeMs();
    const share = windowMs / ROTATION_INTERVAL_MS;
    checks.that(share < 0.01, `the window is ${(share * 100).toFixed(2)} % of the time`);
    return checks.measured(
      `0 of ${kept} lost; strict: 0 of ${strict.points - strict.underWay} outside an exchange, ` +
        `${strict.lost} of ${strict.underWay} within one; it takes ${windowMs.toFixed(0)} ms ` +
        `(${PROVIDER_MS} of them the provider’s), ${(share * 100).toFixed(3)} % of the time`,
    );
  },
};

async function crashes(rounds: number, provider: ProviderOptions): Promise<Outcome> {
  const addresses = Array.from({ length: ACCOUNTS }, (_each, index) => `user${index}@example.org`);
  await using site = await Site.open({ provider, addresses });
  const outcome: Outcome = { points: 0, underWay: 0, lost: 0, lostOutside: 0, problems: [] };
  const reuseRevokes = provider.refreshTokens === 'rotate' && provider.reuseGrace === undefined;
  for (let round = 0; round < rounds; round++) {
    const broker = await site.serve();
    await Promise.all(addresses.map((address) => site.ask(`SMTP ${address}`)));
    site.provider.setFault(faults.delay(PROVIDER_MS));
    const underWay = await killDuringRotations(site, addresses, () => killHard(broker));
    site.provider.setFault(undefined);
    const { problems, revoked } = await nothingLost(site, { reuseRevokes });
    outcome.problems.push(...problems);
    outcome.points += addresses.length;
    outcome.underWay += underWay.size;
    outcome.lost += revoked.length;
    outcome.lostOutside += revoked.filter((address) => !underWay.has(address)).length;
    await Promise.all(revoked.map((address) => site.signIn(address)));
  }
  return outcome;
}

/** @returns the accounts that had asked and not been answered when the broker was killed */
async function killDuringRotations(
  site: Site,
  addresses: readonly string[],
  kill: () => Promise<void>,
): Promise<Set<string>> {
  const underWay = new Set<string>();
  let killed = false;
  const rotations = addresses.map(async (address) => {
    await randomPause(2 * PROVIDER_MS);
    if (killed) return;
    underWay.add(address);
    const answer = await site.ask(`REFRESH ${address}`);
    if (answer.includes('expires_at')) underWay.delete(address);
  });
  await sleep(Math.random() * 3 * PROVIDER_MS);
  killed = true;
  await kill();
  await Promise.all(rotations);
  // What was sent arrives, whoever sent it is dead or not.
  await sleep(PROVIDER_MS);
  return underWay;
}

/** From the request until the new token is stored and acknowledged. */
async function exchangeMs(): Promise<number> {
  await using site = await Site.open();
  await site.serve();
  await site.ask(`SMTP ${site.addresses[0]}`);
  site.provider.setFault(faults.delay(PROVIDER_MS));
  const values: number[] = [];
  for (let i = 0; i < 7; i++) values.push((await timed(() => site.refresh())).ms);
  return quantile(values, 0.5);
}
