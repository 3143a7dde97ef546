import { run } from '../../support/processes.ts';
import type { RunningProcess } from '../../support/processes.ts';
import { faults } from '../../support/provider.ts';
import { JANE, type Row, Checks, Site, killHard, until } from '../harness.ts';
import { nothingLost } from '../lost.ts';

/** No file may grow: what a full disk does, to one process, from one moment to the next. */
async function mayWrite(broker: RunningProcess, may: boolean): Promise<void> {
  await run('prlimit', ['--pid', String(broker.pid), `--fsize=${may ? 'unlimited' : '0'}:unlimited`]);
}

const UNDER = ['sh', '-c', `trap '' XFSZ; exec "$0" "$@"`];

export const storeFails: Row = {
  number: 17,
  title: 'the provider rotates, then nothing can be stored',
  target: 'new token served from memory, DEGRADED, no further exchange, stored within 31 s of relief or at SIGTERM',
  async run(scale) {
    const checks = new Checks();
    await using site = await Site.open({ provider: { refreshTokens: 'rotate' } });
    let broker = await site.serve({ under: UNDER });
    await degrade(site, broker, checks);
    await mayWrite(broker, true);
    if (scale.quick) await site.ask('RELOAD');
    const relief = await until(async () => (await site.stateOf()) === 'ok', 31_000, 100);
    checks.that(relief !== undefined, 'not stored within 31 s');
    checks.all((await nothingLost(site, { restarted: true })).problems);
    await degrade(site, broker, checks);
    await mayWrite(broker, true);
    const { status, signal } = await broker.stop();
    checks.that(status === 0, `SIGTERM: status ${status}, ${signal}`);
    checks.all((await nothingLost(site)).problems);
    const killed = await killedWhileDegraded(checks);
    broker = await site.serve();
    checks.that((await site.ask(`SMTP ${JANE}`)) !== '' && (await site.stateOf()) === 'ok', 'not well again');
    return checks.measured(
      `degraded, stored ${((relief ?? NaN) / 1000).toFixed(1)} s after relief and at SIGTERM; ${killed}`,
      'kill -9 while degraded costs the grant at a provider with strict reuse detection',
    );
  },
};

async function degrade(site: Site, broker: RunningProcess, checks: Checks): Promise<void> {
  const before = (await site.onDisk()).secrets.refresh_token;
  site.provider.clearRequests();
  site.provider.setFault(faults.delay(400));
  const asked = site.refresh();
  // The attempt is noted by now; what the provider answers finds no room.
  await until(() => site.provider.count() === 1, 5000, 5);
  await mayWrite(broker, false);
  checks.that((await asked) === undefined, 'the new token is not served');
  checks.that((await site.onDisk()).secrets.refresh_token === before, 'something was stored');
  checks.that((await site.stateOf()) === 'degraded', `state ${await site.stateOf()}`);
  site.provider.setFault(undefined);
  const token = await site.ask(`SMTP,token ${JANE}`);
  checks.that((await site.provider.introspect(token)).active, 'what is served is not good');
  await site.refresh();
  checks.that(site.provider.count() === 1, 'exchanged again although nothing can be stored');
}

async function killedWhileDegraded(checks: Checks): Promise<string> {
  await using site = await Site.open({ provider: { refreshTokens: 'rotate-keeping-old' } });
  const broker = await site.serve({ under: UNDER });
  await degrade(site, broker, checks);
  await killHard(broker);
  const { problems } = await nothingLost(site);
  checks.all(problems);
  return `kill -9 meanwhile: ${problems.length} lost where old tokens are kept`;
}
