/** Mail through exim: with tokens from the broker, and with the token in a plain file. */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openContext } from '../../src/lib/context.ts';
import { planExim } from '../../src/lib/exim/install/plan.ts';
import { enrolOauth } from '../../test/support/enrolled.ts';
import { CMS_PROGRAM, temporaryHome } from '../../test/support/environment.ts';
import { PrivateExim } from '../../test/support/exim.ts';
import { start } from '../../test/support/processes.ts';
import { startProvider } from '../../test/support/provider.ts';
import { isPresent } from '../../test/support/requirements.ts';
import { startSubmission, type SubmissionServer } from '../../test/support/submission.ts';
import { figureOf, type Findings } from '../figures.ts';
import type { Setting, Suite } from '../setting.ts';
import { Stack } from '../stack.ts';

const ADDRESS = 'jane@example.org';
const MESSAGES = 200;
const BATCHES = 5;
const MESSAGE = `From: ${ADDRESS}\nTo: bob@elsewhere.example\nSubject: one of many\n\nNothing much.\n`;

export const exim: Suite = { name: 'exim', title: 'Mail through exim', measure };

async function measure(setting: Setting): Promise<Findings> {
  const title = `${MESSAGES} messages through exim`;
  const missing = whatIsMissing();
  if (missing !== undefined) return { figures: [], leftOut: [{ id: 'exim.rate', title, reason: missing }], plots: {} };
  await using stack = new Stack();
  const site = await openSite(stack);
  const perSecond: Record<Way, number[]> = { broker: [], file: [] };
  const batches = setting.pick(1, BATCHES);
  const messages = setting.pick(3, MESSAGES / BATCHES);
  for (const way of WAYS) await sendBatch(site, way, 1);
  for (let batch = 0; batch < batches; batch++) {
    for (const way of WAYS) perSecond[way].push(await sendBatch(site, way, messages));
  }
  const figure = figureOf({
    id: 'exim.rate',
    title: `messages a second through exim, of ${batches * messages}`,
    unit: '/s',
    values: perSecond.broker,
    reference: { title: 'token in a plain file', values: perSecond.file },
    target: { of: 'ratio', least: 0.95 },
    best: 'most',
  });
  return { figures: [figure], leftOut: [], plots: {} };
}

const WAYS = ['file', 'broker'] as const;
type Way = (typeof WAYS)[number];

function whatIsMissing(): string | undefined {
  if (!isPresent('exim4')) return 'no exim4';
  return isPresent('mount') ? undefined : 'neither root nor sudo without a password';
}

interface Site {
  exim: PrivateExim;
  submission: SubmissionServer;
  configs: Record<Way, string>;
}

async function openSite(stack: Stack): Promise<Site> {
  const exim = stack.use(await PrivateExim.start());
  const provider = await startProvider();
  stack.use({ [Symbol.asyncDispose]: () => provider.stop() });
  const submission = await startSubmission({ provider });
  stack.use({ [Symbol.asyncDispose]: () => submission.stop() });
  const home = stack.use(await temporaryHome());
  await enrolOauth(home.env, provider, ADDRESS, { host: submission.host, port: submission.port, tls: 'starttls' });
  const argv = ['serve', '--socket', exim.socket, '--mode', '0660', '--group', 'Debian-exim'];
  const broker = stack.use(start(process.execPath, [CMS_PROGRAM, ...argv], { env: home.env }));
  await broker.waitFor(/listening socket=\S+exim\.sock/);
  const context = openContext(home.env);
  const account = await context.accounts.resolve(ADDRESS);
  const record = await context.vault.read(ADDRESS);
  const token = record?.secrets.access_token?.reveal() ?? '';
  const plan = planExim(
    { smartHostsFile: '/etc/exim4/exim-smart-hosts', socket: exim.socket, caFile: submission.caFile },
    { user: 'jane', hostName: 'host.example', accounts: [account], installed: undefined },
  );
  await exim.install('exim-smart-hosts', plan.block, '0640');
  const file = join(exim.folder, 'xoauth2');
  await writeFile(file, `user=${ADDRESS}\x01auth=Bearer ${token}\x01\x01`);
  await chmod(file, 0o644);
  return { exim, submission, configs: { broker: plan.config, file: withPlainFile(plan.config, file) } };
}

/** The same configuration, asking a file where it would ask the broker. */
function withPlainFile(config: string, file: string): string {
  const changed = config.replace(
    /\$\{readsocket\{\$r_socket\}\{\$r_ask \$r_account\}\{[^{}]*\}\}/g,
    `\${readfile{${file}}}`,
  );
  if (changed === config) throw new Error('the configuration does not ask the broker as it used to');
  return changed;
}

/** @returns messages a second, from the queue to the server */
async function sendBatch({ exim, submission, configs }: Site, way: Way, count: number): Promise<number> {
  await exim.install('exim4.conf', configs[way], '0644');
  for (let message = 0; message < count; message++) {
    await exim.enqueue(['-f', ADDRESS, 'bob@elsewhere.example'], MESSAGE);
  }
  const before = submission.messages.length;
  const began = performance.now();
  await exim.runQueue('-qff');
  const seconds = (performance.now() - began) / 1000;
  const arrived = submission.messages.length - before;
  if (arrived !== count) throw new Error(`${arrived} of ${count} messages arrived (${way})`);
  return count / seconds;
}
