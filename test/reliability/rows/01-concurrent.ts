import { JANE, type Row, Checks, Site, figuresOf, quantile, until, xoauth2Of } from '../harness.ts';
import { LoadProcess, type Tally, together } from '../load.ts';

const CLIENTS = 2;
const FEW = 1000;

export const concurrent: Row = {
  number: 1,
  title: '10,000 connections that ask in the same moment, token at hand',
  target: 'all answers byte-exact, p99 < 1 s (exim waits 5 s), < 200 MiB; 1,000 of them p99 < 500 ms',
  alone: 'always',
  async run(scale) {
    const checks = new Checks();
    const connections = scale.pick(2000, 10_000);
    await using site = await Site.open();
    const { pid } = await site.serve({ logLevel: 'info' });
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    await using first = new LoadProcess();
    await using second = new LoadProcess();
    const crowd = (size: number): Promise<Tally> =>
      askAtOnce([first, second], site.socket, pid, size, expected, checks);
    const few = await crowd(FEW);
    const tally = await crowd(connections);
    const p99 = quantile(tally.latencies, 0.99);
    const fewP99 = quantile(few.latencies, 0.99);
    const { rssMiB } = figuresOf(pid);
    checks.that(p99 < scale.within(1000), `p99 ${p99.toFixed(0)} ms`);
    checks.that(fewP99 < scale.within(500), `p99 of ${FEW} ${fewP99.toFixed(0)} ms`);
    checks.that(rssMiB < 200, `${rssMiB.toFixed(0)} MiB`);
    return checks.measured(
      `${tally.right}/${connections}, p50 ${quantile(tally.latencies, 0.5).toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, ` +
        `${rssMiB.toFixed(0)} MiB; p99 of ${FEW} ${fewP99.toFixed(0)} ms`,
    );
  },
};

/** Opens all connections, waits until the broker has accepted them, and sends all requests at once. */
async function askAtOnce(
  loads: readonly LoadProcess[],
  path: string,
  pid: number,
  size: number,
  expected: string,
  checks: Checks,
): Promise<Tally> {
  const opened = await Promise.all(loads.map((load) => load.do('open', { path, connections: size / CLIENTS })));
  const failed = opened.reduce((sum, each) => sum + each.failed, 0);
  checks.that(failed === 0, `${failed} connections were refused`);
  // The kernel connects clients before the broker has accepted them.
  const accepted = await until(() => figuresOf(pid).descriptors >= size, 3000, 50);
  checks.that(accepted !== undefined, `only ${figuresOf(pid).descriptors} connections are open in the broker`);
  const fired = loads.map((load) => load.do('fire', { request: `SMTP ${JANE}\n`, expected }));
  const tally = together(await Promise.all(fired));
  checks.that(tally.right === size, `${tally.right} of ${size} answers were right`);
  return tally;
}
