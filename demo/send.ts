/** Steps: one real message, through exim or directly, and what the server says about it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { type Mta, writeDemoConfig } from './exim.ts';
import { ADDRESS } from './servers.ts';
import type { Stage } from './stage.ts';

const RECIPIENT = 'bob@example.com';
const SUBJECT = 'It works';
const BODY = 'Sent by a program that cannot do OAuth.';

export async function sendThroughExim(stage: Stage, mta: Mta, socket: string): Promise<void> {
  const { screen, runner } = stage;
  await configureExim(stage, mta, socket);
  const config = await writeDemoConfig(mta);
  screen.step('Send a message through exim');
  screen.say('This is what any program does that calls sendmail. exim does not know OAuth: it asks the broker.');
  screen.say('(-C: on a spool of the demo, apart from the exim of this machine; you would type: sendmail bob@…)');
  const argv = [mta.binary, '-C', config, '-oi', '-odf', '-f', ADDRESS, RECIPIENT];
  screen.command(`printf 'Subject: ${SUBJECT}\\n\\n${BODY}\\n' | ${argv.join(' ')}`);
  const { stderr } = await runner.run(argv, `Subject: ${SUBJECT}\n\n${BODY}\n`);
  // Run by an ordinary user on files of his own, exim logs to stderr.
  const log = mta.isRoot ? await readFile(join(mta.folder, 'spool', 'mainlog'), 'utf8') : stderr;
  screen.output(log.replace(/^.*lost privilege for using -C option\n/gm, ''));
}

async function configureExim({ screen, cms, runner, servers }: Stage, mta: Mta, socket: string): Promise<void> {
  screen.step('Configure exim');
  screen.say('All of exim4.conf, and one line for each account in exim-smart-hosts. On your machine this would be:');
  screen.say(`cms exim-config --install --default ${ADDRESS}`);
  const argv = ['exim-config', '--write', mta.folder, '--socket', socket, '--default', ADDRESS, '--ca-file'];
  screen.command(cms.shown([...argv, servers.caFile]));
  const { stdout } = await runner.run(cms.argv([...argv, servers.caFile]));
  screen.output(stdout);
  const smartHosts = await readFile(join(mta.folder, 'exim-smart-hosts'), 'utf8');
  screen.command(`grep ${ADDRESS}: ${join(mta.folder, 'exim-smart-hosts')}`);
  screen.output(
    smartHosts
      .split('\n')
      .filter((line) => line.startsWith(`${ADDRESS}:`))
      .join('\n'),
  );
}

export async function sendDirectly({ screen, servers }: Stage, token: string): Promise<void> {
  screen.step('Send a message');
  screen.say(
    'Without exim4 the demo sends over SMTP itself, as a script would: nodemailer logs in with the token',
    'of step 4 instead of a password. (With exim4 installed, the message goes through exim.)',
  );
  const transport = createTransport({
    host: 'localhost',
    port: servers.submission.port,
    requireTLS: true,
    tls: { ca: servers.submission.certificate.ca },
    auth: { type: 'OAuth2', user: ADDRESS, accessToken: token },
  });
  const { response } = await transport.sendMail({ from: ADDRESS, to: RECIPIENT, subject: SUBJECT, text: BODY });
  screen.output(response);
}

/** The message that arrived. @throws Error unless it is the one that was sent, by the account with a token */
export async function showReceived({ screen, servers }: Stage): Promise<void> {
  screen.step('What the mail server received');
  const [message] = await servers.submission.waitForMessages(1);
  if (message === undefined) throw new Error('no message');
  const { user, mechanism, from, to, headers, body } = message;
  screen.output(
    [
      `login     ${user}, by ${mechanism}: the provider vouches for the token`,
      `envelope  from ${from} to ${to.join(', ')}`,
      `subject   ${headers.get('subject') ?? ''}`,
      `text      ${body.trim()}`,
    ].join('\n'),
  );
  if (user !== ADDRESS || mechanism !== 'XOAUTH2' || headers.get('subject') !== SUBJECT) {
    throw new Error('this is not the message that was sent');
  }
  screen.done('sent with an access token, without any password');
}
