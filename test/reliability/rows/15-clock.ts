import { setTimeout as sleep } from 'node:timers/promises';
import { fakeClock } from '../../support/clock.ts';
import { JANE, type Row, Checks, Site, until } from '../harness.ts';
import { nothingLost } from '../lost.ts';

const ASKING = 30;

export const clock: Row = {
  number: 15,
  title: 'clock set 6 h on, 9 h back; suspended for 8 h',
  target: 'no stale token, at most 1 exchange each time, ticker alive',
  needs: ['faketime'],
  async run(scale) {
    const checks = new Checks();
    await using site = await Site.open();
    const { env, set } = fakeClock(site.home.path);
    const broker = await site.serve({ env });
    let token = await site.ask(`SMTP,token ${JANE}`);
    const counts: number[] = [];

    async function after(name: string): Promise<void> {
      site.provider.clearRequests();
      const answers = await Promise.all(Array.from({ length: ASKING }, () => site.ask(`SMTP,token,wait=10 ${JANE}`)));
      for (let i = 0; i < ASKING; i++) answers.push(await site.ask(`SMTP,token ${JANE}`));
      checks.that(new Set(answers).size === 1 && answers[0] !== token, `${name}: the stale token was served`);
      counts.push(site.provider.count());
      checks.that(site.provider.count() <= 1, `${name}: ${site.provider.count()} exchanges`);
      token = answers[0] ?? '';
    }

    set('+6h');
    await after('6 h on');
    set('-3h');
    await after('9 h back');
    broker.kill('SIGSTOP');
    set('+5h');
    await sleep(scale.pick(500, 3000));
    broker.kill('SIGCONT');
    await after('suspended for 8 h');
    site.provider.clearRequests();
    set('+13h');
    const woke = scale.quick ? 0 : await until(() => site.provider.count() > 0, 32_000);
    checks.that(woke !== undefined, 'the ticker did not notice within 32 s');
    set('+0');
    await broker.stop();
    checks.all((await nothingLost(site)).problems);
    const unasked = scale.quick ? '' : `, unasked after ${((woke ?? NaN) / 1000).toFixed(0)} s`;
    return checks.measured(`${counts.join(', ')} exchanges for ${2 * ASKING} asking each${unasked}`);
  },
};
