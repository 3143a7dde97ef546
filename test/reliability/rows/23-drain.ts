import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { faults } from '../../support/provider.ts';
import { JANE, type Row, Checks, Site, expire, timed } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { LoadProcess } from '../load.ts';

const CLIENTS = 500;
/** Signals that come closer to each other, as those of timeout(1) do, count as one. */
const APART_MS = 1500;

export const drain: Row = {
  number: 23,
  title: 'SIGTERM with 500 requests under way',
  target:
    'all answered or closed within 5.5 s, socket gone, status 0, ended within 11 s; a second SIGTERM ends at once',
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    await using site = await Site.open();
    await expire(site);
    await using load = new LoadProcess();
    site.provider.setFault(faults.delay(1500));
    const slow = await ending(site, load);
    checks.that(slow.answered === CLIENTS, `${slow.answered} of ${CLIENTS} were answered`);
    checks.that(slow.status === 0, `status ${slow.status}`);
    checks.that(!existsSync(site.socket), 'the socket is still there');
    site.provider.setFault(undefined);
    await expire(site);
    site.provider.setFault(faults.hang);
    const hung = scale.quick ? slow : await ending(site, load);
    checks.that(
      scale.quick || (hung.answered === 0 && hung.status === 0),
      `hanging provider: ${hung.answered}, status ${hung.status}`,
    );
    const most = Math.max(slow.clientsMs, hung.clientsMs);
    checks.that(most < 4000 + scale.within(1500), `clients were kept for ${most.toFixed(0)} ms`);
    // What the provider may yet answer is a rotation: it is waited for.
    checks.that(Math.max(slow.ms, hung.ms) < 11_000, `ended after ${slow.ms.toFixed(0)} and ${hung.ms.toFixed(0)} ms`);
    const { ms } = await ending(site, load, 2);
    const afterSecond = ms - APART_MS;
    checks.that(afterSecond < scale.within(500), `the second SIGTERM took ${afterSecond.toFixed(0)} ms`);
    site.provider.setFault(undefined);
    checks.all((await nothingLost(site)).problems);
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
    const hanging = `clients closed after ${seconds(hung.clientsMs)}, ended after ${seconds(hung.ms)}`;
    return checks.measured(
      `${slow.answered} answered, ended after ${seconds(slow.ms)}; ` +
        (scale.quick ? '' : `provider that hangs: ${hanging}; `) +
        `${afterSecond.toFixed(0)} ms at the second SIGTERM`,
    );
  },
};

/** Starts a broker, has the crowd ask, and ends it. */
async function ending(site: Site, load: LoadProcess, signals = 1) {
  const broker = await site.serve({ logLevel: 'info' });
  await load.do('open', { path: site.socket, connections: CLIENTS });
  const fired = load.do('fire', { request: `SMTP ${JANE}\n`, expected: '' });
  await sleep(600);
  const clients = timed(() => fired);
  const { value, ms } = await timed(async () => {
    broker.kill('SIGTERM');
    if (signals > 1) await sleep(APART_MS).then(() => broker.kill('SIGTERM'));
    return broker.exited;
  });
  // Answers that are not empty.
  const { value: tally, ms: clientsMs } = await clients;
  return { answered: tally.wrong, clientsMs, ms, status: value.status };
}
