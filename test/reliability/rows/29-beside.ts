import { JANE, type Row, Checks, Site, expire } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { CMS_PROGRAM } from '../../support/environment.ts';
import { faults } from '../../support/provider.ts';

export const beside: Row = {
  number: 29,
  title: '20 cms token at once, beside a broker and without one',
  target: 'one exchange each time, 20 equal tokens',
  async run(scale) {
    const checks = new Checks();
    const clients = scale.pick(8, 20);
    await using site = await Site.open();
    const counts: number[] = [];
    const crowd = async (when: string): Promise<void> => {
      const ended = await Promise.all(Array.from({ length: clients }, () => site.cms('token', JANE)));
      const tokens = new Set(ended.map(({ stdout }) => stdout.trim()));
      checks.that(
        ended.every(({ status, stderr }) => status === 0 && stderr === ''),
        `${when}: ${ended.find(({ status }) => status !== 0)?.stderr}`,
      );
      checks.that(tokens.size === 1 && !tokens.has(''), `${when}: ${tokens.size} different tokens`);
      counts.push(site.provider.count());
      checks.that(site.provider.count() === 1, `${when}: ${site.provider.count()} exchanges`);
    };
    const slowly = faults.delay(500);
    await expire(site);
    site.provider.setFault(slowly);
    await crowd('without a broker');
    site.provider.setFault(undefined);
    await expire(site);
    site.provider.setFault(slowly);
    const broker = await site.serve();
    await crowd('beside a broker');
    // Those that do not find the broker, and the broker, share the account's lock.
    site.provider.setFault(undefined);
    await expire(site);
    site.provider.setFault(slowly);
    const hidden = { ...site.env, CMS_SOCKET: `${site.home.path}/none.sock` };
    const aside = Array.from({ length: 3 }, () => site.spawn([process.execPath, CMS_PROGRAM, 'token', JANE], hidden));
    await site.ask('RELOAD');
    const answers = await Promise.all(Array.from({ length: 5 }, () => site.ask(`SMTP,token ${JANE}`)));
    const tokens = await Promise.all(aside.map((child) => child.exited.then(() => child.stdout.trim())));
    checks.that(new Set([...answers, ...tokens]).size === 1, 'the broker and those beside it have different tokens');
    counts.push(site.provider.count());
    checks.that(site.provider.count() === 1, `${site.provider.count()} exchanges by broker and others together`);
    for (const child of aside) child.stdout = '';
    await broker.stop();
    site.provider.setFault(undefined);
    checks.all((await nothingLost(site)).problems);
    return checks.measured(`${counts.join(', ')} exchanges for ${clients} + ${clients} + 8 that asked`);
  },
};
