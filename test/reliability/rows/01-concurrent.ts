import { JANE, type Row, Checks, Site, figuresOf, quantile, until, xoauth2Of } from '../harness.ts';
import { LoadProcess, together } from '../load.ts';

const CLIENTS = 2;

export const concurrent: Row = {
  number: 1,
  title: '10,000 connections at once, token at hand',
  target: 'all answers byte-exact, p99 < 500 ms, < 150 MiB',
  alone: 'always',
  async run(scale) {
    const checks = new Checks();
    const connections = scale.pick(2000, 10_000);
    await using site = await Site.open();
    const broker = await site.serve({ logLevel: 'info' });
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    await using first = new LoadProcess();
    await using second = new LoadProcess();
    const loads = [first, second];
    const opened = await Promise.all(
      loads.map((load) => load.do('open', { path: site.socket, connections: connections / CLIENTS })),
    );
    checks.that(
      opened.every(({ failed }) => failed === 0),
      `${opened.map(({ failed }) => failed).join(' + ')} connections were refused`,
    );
    // The kernel connects clients before the broker has accepted them.
    const accepted = await until(() => figuresOf(broker.pid).descriptors >= connections, 3000, 50);
    checks.that(accepted !== undefined, `only ${figuresOf(broker.pid).descriptors} connections are open in the broker`);
    const tally = together(
      await Promise.all(loads.map((load) => load.do('fire', { request: `SMTP ${JANE}\n`, expected }))),
    );
    const p99 = quantile(tally.latencies, 0.99);
    const { rssMiB } = figuresOf(broker.pid);
    checks.that(tally.right === connections, `${tally.right} of ${connections} answers were right`);
    checks.that(p99 < scale.within(500), `p99 ${p99.toFixed(0)} ms`);
    checks.that(rssMiB < 150, `${rssMiB.toFixed(0)} MiB`);
    const p50 = quantile(tally.latencies, 0.5);
    return checks.measured(
      `${tally.right}/${connections}, p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, ${rssMiB.toFixed(0)} MiB`,
    );
  },
};
