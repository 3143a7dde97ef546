import { JANE, type Row, Checks, Site, figuresOf, until, xoauth2Of } from '../harness.ts';
import { nothingLost } from '../lost.ts';
import { LoadProcess } from '../load.ts';

const LIMIT = 64;
const SILENT = 300;

export const descriptors: Row = {
  number: 27,
  title: '300 connections where 64 descriptors are allowed',
  target: 'no crash, an honest client is answered and a token refreshed meanwhile, all well afterwards',
  async run() {
    const checks = new Checks();
    await using site = await Site.open();
    const broker = await site.serve({ under: ['prlimit', `--nofile=${LIMIT}:${LIMIT}`] });
    const before = figuresOf(broker.pid).descriptors;
    await using load = new LoadProcess();
    await load.do('open', { path: site.socket, connections: SILENT });
    const token = await site.ask(`SMTP,token ${JANE}`);
    checks.that(token.length > 20, `the honest client got ${JSON.stringify(token)}`);
    const during = await site.refresh();
    checks.that(during === undefined, `no refresh meanwhile: ${during}`);
    const most = figuresOf(broker.pid).descriptors;
    await load.do('release', {});
    const back = await until(() => figuresOf(broker.pid).descriptors <= before + 1, 8000);
    checks.that(broker.running, 'the broker ended');
    checks.that(back !== undefined, `${before} descriptors became ${figuresOf(broker.pid).descriptors}`);
    checks.that((await site.refresh()) === undefined, 'no refresh afterwards');
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    checks.that((await site.ask(`SMTP ${JANE}`)) === expected, 'no right answer afterwards');
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    return checks.measured(`at most ${most} of ${LIMIT} descriptors used, answered and refreshed meanwhile`);
  },
};
