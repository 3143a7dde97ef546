import { setTimeout as sleep } from 'node:timers/promises';
import { JANE, type Row, Checks, Site, figuresOf, quantile } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { LoadProcess } from '../load.ts';
import type { Fault, FaultOutcome } from '../../support/provider.ts';

const TOKEN_LIFE = 20;
const FAULT_SHARE = 0.05;
const SAMPLE_MS = 2000;

export const soak: Row = {
  number: 28,
  title: '200 requests a second, tokens of 20 s, 5 % provider faults, a reload a minute',
  target:
    '0 wrong or empty answers, descriptors constant, memory slope < 1 MiB/h (judged from 30 min on; else < 12 MiB growth)',
  async run(scale) {
    const checks = new Checks();
    const seconds = scale.quick ? 6 : scale.soakMinutes * 60;
    await using site = await Site.open({ provider: { accessTokenTtl: TOKEN_LIFE } });
    await site.signIn(JANE);
    site.provider.setFault(sometimes);
    const broker = await site.serve({ logLevel: 'info' });
    await using load = new LoadProcess();
    const pattern = `^user=${JANE}\\x01auth=Bearer [A-Za-z0-9._~+/-]{20,}\\x01\\x01$`;
    const job = { path: site.socket, request: `SMTP ${JANE}\n`, pattern, perSecond: 200, seconds };
    const running = load.do('rate', job);
    const samples: { at: number; ownMiB: number; descriptors: number }[] = [];
    const began = Date.now();
    for (let next = began + 60_000; Date.now() - began < seconds * 1000;) {
      await sleep(SAMPLE_MS);
      samples.push({ at: (Date.now() - began) / 3_600_000, ...figuresOf(broker.pid) });
      if (Date.now() < next) continue;
      next += 60_000;
      broker.kill('SIGHUP');
    }
    const tally = await running;
    site.provider.setFault(undefined);
    // The first third is the warm-up.
    const steady = samples.slice(Math.floor(samples.length / 3));
    const floors = floorsOf(steady);
    const slope = slopeOf(floors);
    const growth = (floors.at(-1)?.ownMiB ?? 0) - (floors[0]?.ownMiB ?? 0);
    checks.that(
      tally.wrong === 0,
      `${tally.wrong} of ${tally.right + tally.wrong} wrong: ${tally.examples.join('; ')}`,
    );
    const opened = steady.map((sample) => sample.descriptors);
    checks.that(
      quantile(opened, 0.9) - quantile(opened, 0.1) <= 8,
      `descriptors ${Math.min(...opened)} … ${Math.max(...opened)}`,
    );
    if (scale.soakMinutes >= 30 && !scale.quick) checks.that(slope < 1, `${slope.toFixed(1)} MiB/h`);
    else checks.that(growth < 12, `${growth.toFixed(1)} MiB more`);
    const exchanges = site.provider.count();
    checks.that(exchanges > seconds / TOKEN_LIFE / 2, `only ${exchanges} exchanges`);
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    return checks.measured(
      `${Math.round(seconds / 6) / 10} min, ${tally.right} right, ${tally.wrong} wrong, ${exchanges} exchanges, ` +
        `p99 ${quantile(tally.latencies, 0.99).toFixed(0)} ms, ${growth >= 0 ? '+' : ''}${growth.toFixed(1)} MiB after warm-up`,
    );
  },
};

const sometimes: Fault = (): FaultOutcome => {
  if (Math.random() >= FAULT_SHARE) return undefined;
  return Math.random() < 0.5 ? 'reset' : { status: 503, body: 'busy' };
};

const WINDOWS = 10;

/** The least of each tenth of the time: above that is garbage that has not been collected yet. */
function floorsOf<T extends { ownMiB: number }>(samples: readonly T[]): T[] {
  const size = Math.max(1, Math.floor(samples.length / WINDOWS));
  const windows = Array.from({ length: Math.floor(samples.length / size) }, (_, index) =>
    samples.slice(index * size, (index + 1) * size),
  );
  return windows.flatMap(([first, ...more]) =>
    first === undefined ? [] : [more.reduce((least, each) => (each.ownMiB < least.ownMiB ? each : least), first)],
  );
}

/** Least squares, MiB an hour. */
function slopeOf(samples: readonly { at: number; ownMiB: number }[]): number {
  const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [at, own] = [mean(samples.map((each) => each.at)), mean(samples.map((each) => each.ownMiB))];
  const covariance = mean(samples.map((each) => (each.at - at) * (each.ownMiB - own)));
  return covariance / mean(samples.map((each) => (each.at - at) ** 2));
}
