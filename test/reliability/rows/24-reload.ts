import { setTimeout as sleep } from 'node:timers/promises';
import { JANE, type Row, Checks, Site, quantile } from '../harness.ts';
import { LoadProcess } from '../load.ts';

export const reload: Row = {
  number: 24,
  title: 'SIGHUP under 1,000 requests a second',
  target: '50 reloads, not one request fails; a broken config.toml changes nothing',
  alone: 'always',
  async run(scale) {
    const checks = new Checks();
    const reloads = scale.pick(8, 50);
    const perSecond = scale.pick(300, 1000);
    await using site = await Site.open();
    const broker = await site.serve({ logLevel: 'info' });
    const token = await site.ask(`SMTP,token ${JANE}`);
    await using load = new LoadProcess();
    const seconds = reloads * 0.2 + 1;
    const pattern = `^user=${JANE}\\x01auth=Bearer ${token}\\x01\\x01$`;
    const running = load.do('rate', { path: site.socket, request: `SMTP ${JANE}\n`, pattern, perSecond, seconds });
    for (let i = 0; i < reloads; i++) {
      await sleep(200);
      broker.kill('SIGHUP');
    }
    const tally = await running;
    const seen = broker.stderr.split('reloaded').length - 1;
    const rate = tally.right / (tally.totalMs / 1000);
    checks.that(tally.wrong === 0, `${tally.wrong} failed: ${tally.examples.join('; ')}`);
    checks.that(seen >= reloads * 0.8, `only ${seen} of ${reloads} reloads were carried out`);
    checks.that(rate > perSecond * 0.8, `only ${rate.toFixed(0)} requests a second`);
    await site.home.writeConfig('config.toml', 'nonsense');
    broker.kill('SIGHUP');
    await broker.waitFor(/not reloaded; everything stays as it was/);
    checks.that((await site.ask(`SMTP,token ${JANE}`)) === token, 'a broken config.toml ended the service');
    return checks.measured(
      `${seen} reloads, ${tally.right} right at ${rate.toFixed(0)}/s, ${tally.wrong} wrong, p99 ${quantile(tally.latencies, 0.99).toFixed(0)} ms`,
    );
  },
};
