import { JANE, type Row, Checks, Site, killHard, quantile, timed, until, xoauth2Of } from '../harness.ts';

export const restart: Row = {
  number: 26,
  title: 'kill -9, then started again',
  target: 'first answer < 500 ms after exec (median), no exchange, no wait for a lock',
  alone: 'always',
  async run(scale) {
    const checks = new Checks();
    const rounds = scale.pick(4, 50);
    await using site = await Site.open();
    await killHard(await site.serve());
    const expected = xoauth2Of(JANE, (await site.onDisk()).secrets.access_token ?? '');
    site.provider.clearRequests();
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const { value: broker, ms } = await timed(async () => {
        const started = site.launch({ logLevel: 'info' });
        const answered = await until(async () => (await site.ask(`SMTP ${JANE}`)) === expected, 10_000, 5);
        checks.that(answered !== undefined, `round ${round}: no answer`);
        return started;
      });
      times.push(ms);
      await killHard(broker);
    }
    checks.that(site.provider.count() === 0, `${site.provider.count()} exchanges`);
    const median = quantile(times, 0.5);
    checks.that(median < scale.within(500), `${median.toFixed(0)} ms`);
    return checks.measured(
      `${rounds} rounds, median ${median.toFixed(0)} ms, p95 ${quantile(times, 0.95).toFixed(0)} ms, 0 exchanges`,
    );
  },
};
