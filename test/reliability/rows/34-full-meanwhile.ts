import { run } from '../../support/processes.ts';
import { join } from 'node:path';
import { faults } from '../../support/provider.ts';
import { JANE, type Row, Checks, Site, until } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { leaveFree, mount, root } from './20-disk-full.ts';

const ANSWER_MS = 800;

export const fullMeanwhile: Row = {
  number: 34,
  title: 'the disk fills up between the request to the provider and its answer',
  target: 'the answer is stored, with a broker and without, nothing lost with strict reuse detection',
  needs: ['mount'],
  async run() {
    const checks = new Checks();
    const stored: string[] = [];
    for (const kind of ['tmpfs', 'ext4'] as const) {
      await using site = await Site.open({ provider: { refreshTokens: 'rotate' } });
      const { stateDir } = site.home;
      const aside = join(site.home.path, 'aside');
      await run('cp', ['-a', stateDir, aside]);
      if (!(await mount(kind, site))) continue;
      try {
        await run('cp', ['-a', `${aside}/.`, stateDir]);
        await filledMeanwhile(site, `${kind}, cms token`, () => site.cms('token', JANE, '--force-refresh'), checks);
        const broker = await site.serve();
        await filledMeanwhile(site, `${kind}, broker`, () => site.refresh(), checks);
        checks.that((await site.stateOf()) === 'ok', `${kind}: ${await site.stateOf()}`);
        await broker.stop();
        checks.all((await nothingLost(site)).problems);
        stored.push(kind);
      } finally {
        await root('umount', '--lazy', stateDir);
      }
    }
    checks.that(stored.length > 0, 'nothing could be mounted');
    return checks.measured(`stored on ${stored.join(' and ')}, with a broker and without`);
  },
};

async function filledMeanwhile(site: Site, name: string, work: () => Promise<unknown>, checks: Checks): Promise<void> {
  const before = (await site.onDisk()).secrets.refresh_token;
  site.provider.clearRequests();
  site.provider.setFault(faults.delay(ANSWER_MS));
  const working = work();
  await until(() => site.provider.count('refresh_token') > 0, 20_000, 5);
  leaveFree(site.home.stateDir, 0);
  await working;
  const { secrets } = await site.onDisk();
  checks.that(secrets.refresh_token !== before, `${name}: the answer was not stored`);
  await run('rm', ['-rf', join(site.home.stateDir, 'filler')]);
  site.provider.setFault(undefined);
}
