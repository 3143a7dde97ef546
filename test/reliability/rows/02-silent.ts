import { setTimeout as sleep } from 'node:timers/promises';
import { JANE, type Row, Checks, Site, figuresOf, quantile, timed, until, xoauth2Of } from '../harness.ts';
import { LoadProcess } from '../load.ts';

export const silent: Row = {
  number: 2,
  title: '3,000 clients that say nothing, and an honest one',
  target: 'honest one < 50 ms (p95), the others closed after 4 s, < 150 MiB',
  alone: 'always',
  async run(scale) {
    const checks = new Checks();
    const connections = scale.pick(500, 3000);
    await using site = await Site.open();
    const broker = await site.serve({ logLevel: 'info' });
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    await using load = new LoadProcess();
    // A first crowd: what the process keeps from it, it keeps once.
    await crowd(load, site, broker.pid, connections);
    const before = figuresOf(broker.pid);
    await load.do('open', { path: site.socket, connections });
    const latencies: number[] = [];
    for (const end = Date.now() + 3000; Date.now() < end;) {
      const { value, ms } = await timed(() => site.ask(`SMTP ${JANE}`));
      checks.that(value === expected, `the honest client got ${JSON.stringify(value)}`);
      latencies.push(ms);
      await sleep(20);
    }
    await until(() => figuresOf(broker.pid).descriptors <= before.descriptors, 6000);
    const { open, closedAfterMs } = await load.do('release', {});
    const after = figuresOf(broker.pid);
    const p95 = quantile(latencies, 0.95);
    checks.that(p95 < scale.within(50), `the honest client waited ${p95.toFixed(0)} ms`);
    checks.that(open === 0, `${open} silent clients were not closed`);
    checks.that(
      closedAfterMs.every((ms) => ms > 3500 && ms < 4000 + scale.within(2500)),
      `closed after ${Math.min(...closedAfterMs).toFixed(0)} … ${Math.max(...closedAfterMs).toFixed(0)} ms`,
    );
    checks.that(after.rssMiB < 150, `${after.rssMiB.toFixed(0)} MiB`);
    return checks.measured(
      `p50 ${quantile(latencies, 0.5).toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, ${closedAfterMs.length} closed after ` +
        `${(quantile(closedAfterMs, 0.5) / 1000).toFixed(1)} s, ${before.rssMiB.toFixed(0)} → ${after.rssMiB.toFixed(0)} MiB`,
    );
  },
};

async function crowd(load: LoadProcess, site: Site, pid: number, connections: number): Promise<void> {
  const { descriptors } = figuresOf(pid);
  await load.do('open', { path: site.socket, connections });
  // Its members are closed by the broker, as those that are measured will be.
  await until(() => figuresOf(pid).descriptors >= connections, 3000);
  await until(() => figuresOf(pid).descriptors <= descriptors + 1, 8000);
  await load.do('release', {});
}
