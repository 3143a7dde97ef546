/**
 * `npm run demo`: the whole way of a mail on this machine only, from the sign-in to the message at the server. Each
 * step runs the real program. Nothing of the user is touched, and no file is left behind.
 */
import { parseArgs } from 'node:util';
import { addAccount } from './account.ts';
import { printToken, showStatus, startBroker } from './broker.ts';
import { Cleanup, Interrupted, interruption } from './cleanup.ts';
import { prepareExim } from './exim.ts';
import { buildProgram, findProgram } from './program.ts';
import { createRunner } from './runner.ts';
import { sendDirectly, sendThroughExim, showReceived } from './send.ts';
import { ADDRESS, startServers } from './servers.ts';
import { cmsAt, type Stage } from './stage.ts';
import { openScreen, type Screen } from './terminal.ts';
import { chooseTemporaryFolder, makeWorkspace, personsEnvironment, scriptedEnvironment } from './workspace.ts';

const USAGE = `usage: npm run demo -- [--browser] [--no-exim]

  --browser   sign in with your own browser; else a script does it
  --no-exim   send over SMTP even where exim4 is installed
`;

interface Options {
  browser: boolean;
  exim: boolean;
}

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options === undefined) return 64;
  const colours = process.env.FORCE_COLOR === '1' || (process.stdout.isTTY && !process.env.NO_COLOR);
  const columns = process.stdout.isTTY ? process.stdout.columns : undefined;
  const screen = openScreen((text) => process.stdout.write(text), colours, columns);
  const cleanup = new Cleanup();
  const stopped = interruption();
  const show = perform(options, screen, cleanup);
  // Failures while everything is being taken down are expected.
  show.catch(() => undefined);
  try {
    await Promise.race([show, stopped]);
    return 0;
  } catch (error) {
    process.stderr.write(`\ndemo: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof Interrupted ? error.exitStatus : 1;
  } finally {
    await cleanup.run();
  }
}

function parseOptions(argv: readonly string[]): Options | undefined {
  try {
    const options = {
      browser: { type: 'boolean' },
      'no-exim': { type: 'boolean' },
      help: { type: 'boolean' },
    } as const;
    const { values } = parseArgs({ args: [...argv], options });
    if (values.help !== true) return { browser: values.browser ?? false, exim: values['no-exim'] !== true };
  } catch (error) {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  process.stderr.write(USAGE);
  return undefined;
}

async function perform(options: Options, screen: Screen, cleanup: Cleanup): Promise<void> {
  chooseTemporaryFolder();
  const workspace = await makeWorkspace(cleanup);
  screen.say('cms at work, on this machine only and without an account of yours.');
  screen.say(`All files are in ${workspace.folder}, which is removed at the end.`);
  const servers = await startServers(cleanup, workspace.folder);
  const env = options.browser
    ? personsEnvironment(workspace, servers.caFile)
    : await scriptedEnvironment(workspace, servers.caFile, ADDRESS);
  const runner = createRunner(env, cleanup);
  const program = await findProgram();
  if (program === undefined) screen.say('Compiling cms first …');
  const cms = cmsAt(program ?? (await buildProgram(workspace.programFolder, runner)));
  await play({ screen, cleanup, runner, workspace, servers, cms, ownBrowser: options.browser }, options);
  screen.end('What next, with an account of your own', NEXT);
}

async function play(stage: Stage, options: Options): Promise<void> {
  const { screen, servers, workspace, runner } = stage;
  screen.step('Start a provider to try it with');
  screen.say(
    `An authorization server, ${servers.provider.issuer}, and mail servers for SMTP and IMAP now run on`,
    'loopback. Like Gmail and Microsoft 365 they take access tokens and no passwords.',
  );
  await addAccount(stage);
  const mta = options.exim ? await prepareExim(workspace.eximFolder, runner) : undefined;
  const socket = await startBroker(stage, mta);
  const token = await printToken(stage);
  await showStatus(stage);
  if (mta === undefined) await sendDirectly(stage, token);
  else await sendThroughExim(stage, mta, socket);
  await showReceived(stage);
}

const NEXT = [
  '$ npm ci && npm run build && npm install -g .',
  'Gmail, see docs/gmail.md:',
  '$ cms account add you@gmail.com --client-file client_secret.json',
  'Microsoft 365, see docs/microsoft365.md:',
  '$ cms account add you@example.org --client-id CLIENT_ID',
  'and then:',
  '$ cms serve',
];

// Not waiting for timers of what was broken off.
process.exit(await main(process.argv.slice(2)));
