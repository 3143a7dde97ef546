import { setTimeout as sleep } from 'node:timers/promises';
import { CMS_PROGRAM } from '../../support/environment.ts';
import { start } from '../../support/processes.ts';
import { faults } from '../../support/provider.ts';
import { type Row, Checks, Site, until } from '../harness.ts';
import { nothingLost } from '../lost.ts';

const ACCOUNTS = 5;
const PROVIDER_MS = 250;
/** From the request to some time after its answer is stored. */
const SPAN_MS = 400;
/** One point in so many lies before the request. */
const EARLY = 10;
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

export const signals: Row = {
  number: 32,
  title: 'SIGTERM, SIGINT, SIGHUP at 200 points of an exchange without a broker',
  target: 'the grant survives each of them with strict reuse detection',
  async run(scale) {
    const checks = new Checks();
    const addresses = Array.from({ length: ACCOUNTS }, (_each, index) => `user${index}@example.org`);
    await using site = await Site.open({ provider: { refreshTokens: 'rotate' }, addresses });
    site.provider.setFault(faults.delay(PROVIDER_MS));
    const tally = { before: 0, within: 0, after: 0 };
    const points = scale.pick(10, 200);
    const each = points / ACCOUNTS;
    const all = addresses.map(async (address, lane): Promise<void> => {
      for (let point = 0; point < each; point++) {
        const { refresh_token: token } = (await site.onDisk(address)).secrets;
        const isSent = (): boolean =>
          site.provider.requests.some(({ parameters }) => parameters.get('refresh_token') === token);
        // Not a process of the site: what it prints is a token, and no log.
        const child = start(process.execPath, [CMS_PROGRAM, 'token', address, '--force-refresh'], { env: site.env });
        if (point % EARLY !== 0) await until(isSent, 20_000, 2);
        await Promise.race([sleep((SPAN_MS * (point + lane / ACCOUNTS)) / each), child.exited]);
        const wasSent = isSent();
        const signal = SIGNALS[(point + lane) % SIGNALS.length] ?? 'SIGTERM';
        const twice = point % 2 === 0;
        if (child.running) {
          child.kill(signal);
          if (twice) child.kill(signal);
        }
        const exit = await child.exited;
        tally[exit.signal === null ? 'after' : wasSent ? 'within' : 'before']++;
        const { state, secrets } = await site.onDisk(address);
        checks.that(state === 'active', `${address}, point ${point}, ${signal}: ${state}`);
        checks.that(secrets.attempt === undefined, `${address}, point ${point}, ${signal}: the answer is not stored`);
      }
    });
    await Promise.all(all);
    site.provider.setFault(undefined);
    checks.that(tally.within > points / 4, `only ${tally.within} signals came within an exchange`);
    checks.all((await nothingLost(site)).problems);
    return checks.measured(
      `0 of ${points} lost: ${tally.within} within an exchange, ${tally.before} before it, ${tally.after} after it`,
    );
  },
};
