import { JANE, type Row, Checks, Site, expire } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { faults } from '../../support/provider.ts';

const REQUESTS = 25;
/** The header, and the seconds from which to which the next attempt may be due. */
const CASES: readonly [status: number, retryAfter: string | undefined, from: number, to: number][] = [
  [500, undefined, 0, 2],
  [502, undefined, 0, 2],
  [503, '17', 17, 17],
  [503, 'DATE', 57, 60],
  [504, undefined, 0, 2],
  [408, undefined, 0, 2],
  [429, '120', 120, 120],
  [429, '99999', 3600, 3600],
  [429, '-1', 0, 2],
];

export const statusCodes: Row = {
  number: 9,
  title: '500, 502, 503, 504, 408, 429, with and without Retry-After',
  target: 'temporary, Retry-After kept to within an hour, 1 request for a crowd, nothing lost',
  async run() {
    const checks = new Checks();
    await using site = await Site.open();
    const broker = await site.serve();
    let most = 0;
    for (const [status, header, from, to] of CASES) {
      const name = `${status}${header === undefined ? '' : ` Retry-After: ${header}`}`;
      site.provider.setFault(undefined);
      await expire(site);
      const value = header === 'DATE' ? new Date(Date.now() + 60_000).toUTCString() : header;
      site.provider.setFault(faults.answer(status, 'busy', value === undefined ? {} : { 'retry-after': value }));
      await site.ask('RELOAD');
      const answers = await Promise.all(Array.from({ length: REQUESTS }, () => site.ask(`SMTP ${JANE}`)));
      checks.that(
        answers.every((answer) => answer === ''),
        `${name}: something was answered`,
      );
      const { state, failure } = await site.onDisk();
      const due = failure === undefined ? NaN : (failure.retry_at - failure.at) / 1000;
      checks.that(
        state === 'active' && failure?.code === 'temporarily_unavailable',
        `${name}: ${state} ${failure?.code}`,
      );
      checks.that(due >= from && due <= to, `${name}: the next attempt is due after ${due} s`);
      // Without a header the first attempts may follow one another within the second.
      if (header !== undefined && from > 0) most = Math.max(most, site.provider.count());
    }
    checks.that(most === 1, `${most} requests in one window`);
    site.provider.setFault(undefined);
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    return checks.measured(`${CASES.length} cases, ${most} request for ${REQUESTS} asking`);
  },
};
