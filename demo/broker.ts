/** Steps: the broker, a token from it, and its state. */
import { join } from 'node:path';
import type { Mta } from './exim.ts';
import { ADDRESS } from './servers.ts';
import type { Stage } from './stage.ts';

/** Starts `cms serve` with a socket for the MTA, if there is one. @returns the path of that socket */
export async function startBroker(stage: Stage, mta: Mta | undefined): Promise<string> {
  const { screen, cms, runner, workspace } = stage;
  const socket = mta === undefined ? workspace.socket : join(mta.folder, 'exim.sock');
  screen.step('Start the broker');
  screen.say(
    'It keeps access tokens fresh and hands them out over UNIX sockets: one that is yours alone, and',
    mta === undefined ? 'others, for example for exim, wherever you want them.' : 'here a second one for exim.',
  );
  const access = mta?.isRoot === true ? ['--mode', '0660', '--group', mta.group] : [];
  const argv = ['serve', ...(mta === undefined ? [] : ['--socket', socket, ...access, '--protocol', 'smtp'])];
  screen.command(`${cms.shown(argv)} &`);
  const broker = await runner.start(cms.argv(argv));
  await broker.waitFor(new RegExp(`listening.*${socket.replaceAll('.', '\\.')}`));
  screen.output(broker.stderr);
  return socket;
}

/** @returns an access token, which never shows in full */
export async function printToken({ screen, cms, runner }: Stage): Promise<string> {
  const argv = ['token', ADDRESS];
  screen.step('Take a token');
  screen.say('This is the line for msmtp, mutt, mbsync, git and scripts: a fresh access token, nothing else.');
  screen.command(cms.shown(argv));
  const started = performance.now();
  const { stdout } = await runner.run(cms.argv(argv));
  const milliseconds = Math.round(performance.now() - started);
  const token = stdout.trim();
  if (token === '') throw new Error('cms token printed nothing');
  screen.output(`${token.slice(0, 6)}…   (${token.length} characters; cut off here, tokens are secrets)`);
  screen.done(`answered by the broker in ${milliseconds} ms, start of the program included`);
  return token;
}

export async function showStatus({ screen, cms, runner }: Stage): Promise<void> {
  screen.step('Look at it');
  screen.command(cms.shown(['status']));
  // Its table fits into any terminal, if it is asked there.
  if (screen.narrow) await runner.runInForeground(cms.argv(['status']));
  else screen.output((await runner.run(cms.argv(['status']))).stdout);
}
