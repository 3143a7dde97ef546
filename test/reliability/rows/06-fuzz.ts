import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { JANE, type Row, Checks, Site, xoauth2Of } from '../harness.ts';
import { LoadProcess } from '../load.ts';

const PROCESSES = 2;

export const fuzz: Row = {
  number: 6,
  title: 'random and mutated requests',
  target: '1,000,000 without a crash or an answer that is not exact',
  async run(scale) {
    const checks = new Checks();
    const total = scale.pick(10_000, 1_000_000);
    const seed = randomInt(2 ** 31);
    await using site = await Site.open();
    // Not the private socket: what administration does there is no fuzz.
    const path = join(site.home.path, 'public.sock');
    const broker = await site.serve({ logLevel: 'info', argv: ['--socket', path] });
    await broker.waitFor(/listening socket=\S+public\.sock/);
    const token = await site.ask(`SMTP,token ${JANE}`);
    const facts = { addresses: [JANE, 'Jane@Example.org', 'nobody@example.org', '../x', ''], known: [JANE], token };
    const loads = Array.from({ length: PROCESSES }, () => new LoadProcess());
    const results = await Promise.all(
      loads.map((load, index) =>
        load.do('fuzz', { path, seed: seed + index, total: total / PROCESSES, concurrency: 16, facts }),
      ),
    );
    await Promise.all(loads.map((load) => load[Symbol.asyncDispose]()));
    const answered = results.reduce((sum, each) => sum + each.answered, 0);
    checks.all(results.flatMap(({ wrong }) => wrong));
    checks.that(answered > total / 100, `only ${answered} requests were good: the fuzz does not reach the answers`);
    checks.that(broker.running, `the broker ended: ${broker.stderr.slice(-300)}`);
    checks.that((await site.ask(`SMTP ${JANE}`)) === xoauth2Of(JANE, token), 'no right answer afterwards');
    const perSecond = total / (Math.max(...results.map(({ totalMs }) => totalMs)) / 1000);
    return checks.measured(
      `${total.toLocaleString('en')} requests (seed ${seed}), ${answered.toLocaleString('en')} answered, 0 wrong, ${Math.round(perSecond)}/s`,
    );
  },
};
