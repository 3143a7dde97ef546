/** Step: the account is added, by the real program and a person who signs in. */
import type { Stage } from './stage.ts';
import { ADDRESS, serverFlags } from './servers.ts';

export async function addAccount({ screen, cms, runner, servers, ownBrowser }: Stage): Promise<void> {
  const argv = ['account', 'add', ADDRESS, ...serverFlags(servers)];
  screen.step('Sign in, once');
  screen.say(
    'cms opens the page of the provider in a browser, receives the grant, keeps it sealed, and tests it',
    'with real logins at the mail servers. For Gmail and Microsoft 365 you need not name the servers.',
  );
  if (ownBrowser) screen.say(`Your turn: sign in as ${ADDRESS}, with any password, and allow access.`);
  else screen.say('A script plays the person in front of the browser here; --browser opens a real one.');
  screen.command(cms.shown(argv));
  if (ownBrowser) await runner.runInForeground(cms.argv(argv));
  else screen.output((await runner.run(cms.argv(argv))).stderr);
}
