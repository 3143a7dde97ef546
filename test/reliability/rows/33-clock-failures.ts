import { fakeClock } from '../../support/clock.ts';
import { type Fault, faults } from '../../support/provider.ts';
import { expire, JANE, type Row, Checks, Site, until } from '../harness.ts';
import { nothingLost } from '../lost.ts';

const WITHIN_MS = 35_000;

export const clockFailures: Row = {
  number: 33,
  title: 'a failure is noted while the clock is 2 h ahead, 3 days ahead; then it is set right',
  target: 'asked for: a new token immediately; not asked for: within 35 s',
  needs: ['faketime'],
  async run(scale) {
    const checks = new Checks();
    const waits: number[] = [];
    const cases: (readonly [string, Fault, boolean])[] = [
      ['+2h', faults.answer(503, '', { 'retry-after': '3600' }), true],
      ['+72h', faults.tokenError('invalid_client', 'x', 401), true],
      ['+2h', faults.tokenError('invalid_client', 'x', 401), false],
    ];
    for (const [ahead, fault, asks] of scale.pick(cases.slice(0, 2), cases)) {
      await using site = await Site.open({ provider: { refreshTokens: 'rotate' } });
      await expire(site);
      const { env, set } = fakeClock(site.home.path);
      set(ahead);
      site.provider.setFault(fault);
      const broker = await site.serve({ env });
      checks.that((await site.ask(`SMTP,token,wait=10 ${JANE}`)) === '', `${ahead}: a token that nobody gave`);
      checks.that((await site.onDisk()).failure !== undefined, `${ahead}: no failure was noted`);
      set('+0');
      site.provider.setFault(undefined);
      site.provider.clearRequests();
      const isNew = async (): Promise<boolean> =>
        asks ? (await site.ask(`SMTP,token,wait=10 ${JANE}`)) !== '' : site.provider.count('refresh_token') > 0;
      const waited = await until(isNew, asks ? 10_000 : WITHIN_MS);
      checks.that(waited !== undefined, `${ahead}, ${asks ? 'asked' : 'not asked'}: no new token`);
      waits.push(waited ?? NaN);
      await broker.stop();
      checks.all((await nothingLost(site)).problems);
    }
    return checks.measured(`a new token after ${waits.map((wait) => (wait / 1000).toFixed(1)).join(', ')} s`);
  },
};
