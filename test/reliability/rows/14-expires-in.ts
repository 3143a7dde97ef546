import { setTimeout as sleep } from 'node:timers/promises';
import { JANE, type Row, Checks, Site } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { faults } from '../../support/provider.ts';

const WEEK = 7 * 24 * 3600;
const CASES: readonly [expiresIn: unknown, seconds: number][] = [
  [undefined, 3600],
  [null, 3600],
  ['3600', 3600],
  ['NaN', 3600],
  ['soon', 3600],
  [{}, 3600],
  [[1], 3600],
  [3599.5, 3600],
  [1, 1],
  [0, 0],
  [-1, 0],
  [1e12, WEEK],
  [1e308, WEEK],
  ['999999999999', WEEK],
];

export const expiresIn: Row = {
  number: 14,
  title: 'expires_in missing, null, text, 0, negative, a fraction, 10^12',
  target: '3600 or the number, 0 … 7 days; 0 is served once; no storm and no busy loop',
  async run() {
    const checks = new Checks();
    await using site = await Site.open();
    const broker = await site.serve();
    for (const [value, seconds] of CASES) {
      site.provider.setFault(faults.rewrite((answer) => ({ ...answer, expires_in: value })));
      const began = Date.now();
      const { expires_at } = JSON.parse(await site.ask(`REFRESH ${JANE}`)) as { expires_at: number };
      const lives = expires_at - began / 1000;
      checks.that(
        Math.abs(lives - seconds) <= 2,
        `${value === undefined ? 'none' : JSON.stringify(value)} is taken for ${lives.toFixed(1)} s`,
      );
    }
    site.provider.setFault(faults.rewrite((answer) => ({ ...answer, expires_in: 0 })));
    await site.refresh();
    checks.that((await site.ask(`SMTP ${JANE}`)).startsWith('user='), 'a token with expires_in 0 is not served');
    site.provider.clearRequests();
    await sleep(3000);
    const storm = site.provider.count();
    checks.that(storm <= 2, `${storm} exchanges in 3 s without a request`);
    site.provider.setFault(undefined);
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    return checks.measured(`${CASES.length} values as they should be, ${storm} exchanges in 3 s of silence after a 0`);
  },
};
