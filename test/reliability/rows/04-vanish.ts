import { setTimeout as sleep } from 'node:timers/promises';
import { JANE, type Row, Checks, Site, figuresOf, until, xoauth2Of } from '../harness.ts';
import { LoadProcess } from '../load.ts';

export const vanish: Row = {
  number: 4,
  title: '5,000 clients that go away at every moment',
  target: 'no crash, descriptors back to where they were',
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    const total = scale.pick(1000, 5000);
    await using site = await Site.open();
    const broker = await site.serve({ logLevel: 'info' });
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    await sleep(300);
    const before = figuresOf(broker.pid).descriptors;
    await using load = new LoadProcess();
    await load.do('vanish', { path: site.socket, request: `SMTP ${JANE}\n`, total, concurrency: 100 });
    const backMs = await until(() => figuresOf(broker.pid).descriptors <= before, 8000);
    const after = figuresOf(broker.pid).descriptors;
    checks.that(broker.running, `the broker ended: ${broker.stderr.slice(-300)}`);
    checks.that(backMs !== undefined, `${before} descriptors became ${after}`);
    checks.that((await site.ask(`SMTP ${JANE}`)) === expected, 'no right answer afterwards');
    return checks.measured(`${total} loops, ${before} → ${after} descriptors`);
  },
};
