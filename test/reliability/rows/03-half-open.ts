import { isPresent } from '../../support/requirements.ts';
import { run } from '../../support/processes.ts';
import { JANE, type Row, Checks, Site, timed, xoauth2Of } from '../harness.ts';

/** What exim's readsocket can be told, and whether an answer is due. */
const READSOCKET: readonly [options: string, request: string, answered: boolean][] = [
  ['', 'SMTP ADDRESS', true],
  ['{3s}', 'SMTP ADDRESS', true],
  ['{4s}', 'SMTP ADDRESS\\n', true],
  ['{3s:shutdown=no}', 'SMTP ADDRESS\\n', true],
  ['{3s:shutdown=no}', 'SMTP ADDRESS\\r\\n', true],
  ['{6s:shutdown=no}', 'SMTP ADDRESS', false],
  ['{3s:shutdown=yes}', 'SMTP ADDRESS', true],
  ['{3s}{}', 'SMTP ADDRESS', true],
  ['{3s}{}{FAILED}', 'SMTP ADDRESS', true],
  ['{3s}{}{FAILED}', 'SMTP nobody@example.org', false],
];

export const halfOpen: Row = {
  number: 3,
  title: 'every way to end a request, exim’s readsocket included',
  target: 'one exact answer each; without any end nothing, after 4 s',
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    await using site = await Site.open();
    await site.serve();
    const expected = xoauth2Of(JANE, await site.ask(`SMTP,token ${JANE}`));
    let forms = 0;
    for (const end of ['', '\n', '\r\n']) {
      for (const halfClose of [true, false]) {
        if (end === '' && !halfClose) continue;
        forms++;
        const answer = await site.ask(`SMTP ${JANE}${end}`, { halfClose });
        checks.that(answer === expected, `${JSON.stringify(end)}, half-close ${halfClose}: ${JSON.stringify(answer)}`);
      }
    }
    forms++;
    const { value, ms } = await timed(() => site.ask(`SMTP ${JANE}`, { halfClose: false }));
    checks.that(
      value === '' && ms > 3800 && ms < 4000 + scale.within(1000),
      `no end at all: ${JSON.stringify(value)} after ${ms} ms`,
    );
    const exim = isPresent('exim4');
    const wanted = scale.quick ? READSOCKET.filter(([options]) => !options.includes('6s')) : READSOCKET;
    if (exim) for (const [options, request, answered] of wanted) await readsocket(options, request, answered);
    const figure = `${forms} forms, ${exim ? wanted.length : 'no'} of exim, nothing after ${(ms / 1000).toFixed(1)} s`;
    return checks.measured(figure, exim ? undefined : 'exim4 is not installed');

    async function readsocket(options: string, request: string, answered: boolean): Promise<void> {
      // The eol argument comes after the time; the request's own escapes are exim's to expand.
      const text = request.replace('ADDRESS', JANE.replace('@', '\\@'));
      const expansion = `\${readsocket{${site.socket}}{${text}}${options}}`;
      const { stdout } = await run('/usr/sbin/exim4', ['-be', expansion], { env: { PATH: process.env.PATH } });
      const got = stdout.replace(/\n$/, '');
      checks.that(got === (answered ? expected : ''), `${expansion} gave ${JSON.stringify(got)}`);
    }
  },
};
