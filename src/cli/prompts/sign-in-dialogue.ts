/** The person at the terminal, as `account add` sees one: what is shown, and the few questions. All of it on stderr. */
import { isIP } from 'node:net';
import { hostname, userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Account, MailServer, OAuthAccount, Protocol } from '../../lib/accounts/account.ts';
import { parseAddress, parseDomain, refuseFlagLike } from '../../lib/accounts/address.ts';
import { openBrowser } from '../../lib/os/browser.ts';
import { allFinished, type EndSignal, onEndRequests } from '../../lib/os/ending.ts';
import { hasBrowser, type OtherWay } from '../../lib/enrol/flow.ts';
import type { EnrolDialogue, Questions } from '../../lib/enrol/enrol.ts';
import type { CheckAnswer } from '../../lib/oauth/sign-in/authorization-code.ts';
import type { LoginReport } from '../../lib/account-test/login.ts';
import { type MissingScope, namesOf } from '../../lib/providers/missing-scopes.ts';
import { quoted } from '../../lib/core/shell-word.ts';
import { readAuthorities } from '../../lib/os/tls-authorities.ts';
import type { Outcome } from '../../lib/enrol/sign-in.ts';
import { CmsError } from '../../lib/core/errors.ts';
import { advice } from '../../lib/explain/advice.ts';
import type { Environment } from '../../lib/os/paths.ts';
import type { Provider } from '../../lib/providers/provider.ts';
import type { Secret } from '../../lib/core/secret.ts';
import { remembering } from './resume.ts';
import { askChoice, askPasted, askText, askYesNo } from './ask.ts';
import { askAppPassword, askClient, placeOf, sayPasswordWay } from './client.ts';
import { askIssuer, askProvider } from './provider.ts';
import { waitForKey } from './wait-for-key.ts';

/** How long a sign-in may take: as long as a person needs to find a password and a second factor. */
const SIGN_IN_TIMEOUT_MS = 10 * 60_000;

/** Enough to take a client back that was registered for this sign-in. */
const GRACE_MS = 2500;

/** For work that heeds no signal, such as a login test. A grant on its way is waited for, and what becomes of it. */
async function inTime(): Promise<void> {
  await allFinished();
  await sleep(GRACE_MS, undefined, { ref: false });
  await allFinished();
}

/** Ends a sign-in that is never finished, and one that is given up with Ctrl-C while no question is open. */
function endOfPatience(): AbortSignal {
  const controller = new AbortController();
  const end = (error: CmsError): void => controller.abort(error);
  setTimeout(() => {
    end(
      new CmsError('access_denied', `the sign-in was not finished within ${SIGN_IN_TIMEOUT_MS / 60_000} min`, {
        suggestions: ['run the command again'],
      }),
    );
  }, SIGN_IN_TIMEOUT_MS).unref();
  const endAtOnce = (signal: EndSignal): void => {
    giveBack();
    process.kill(process.pid, signal);
  };
  // A terminal that was closed, and a kind kill, leave as little behind as Ctrl-C does. The listeners stay: a prompt would
  // find itself alone with the signal, and end the process before anything is tidied up.
  const giveBack = onEndRequests(['SIGINT', 'SIGTERM', 'SIGHUP'], {
    first: (signal) => {
      end(new CmsError('usage', 'cancelled; nothing was changed'));
      void inTime().then(() => endAtOnce(signal));
    },
    again: endAtOnce,
  });
  return controller.signal;
}

export interface TerminalOptions {
  env: Environment;
  /** What the user has to do now. */
  say: (line: string) => void;
  /** What can wait, or be left out. */
  remark: (line: string) => void;
  /** A line to copy: it is not wrapped. */
  show: (line: string) => void;
  /** Whether questions may be asked at all. */
  asks: boolean;
  /** `--yes`: questions that have a default take it. */
  takesDefaults: boolean;
  /** `--no-browser` */
  opensBrowser: boolean;
  /** Not `--no-test` */
  tests: boolean;
  /** `--ca-file` */
  caFile: string | undefined;
  /** Login tests are told as they end; not for `--json`, which prints them. */
  tells: boolean;
}

/** The dialogue, and what was answered in it so far, as flags. */
export type TerminalDialogue = EnrolDialogue & { answered: () => string[] };

export function askAddress(): Promise<string> {
  return askText('Mail address:', (text) => refuseFlagLike(parseAddress(text)));
}

/** The dialogue of `enrol` at this terminal. */
export function terminalDialogue(options: TerminalOptions): TerminalDialogue {
  const { say, remark, asks } = options;
  const signal = endOfPatience();
  const answers = remembering(questions(say, options.caFile));
  return {
    answered: answers.flags,
    ...(asks && !options.takesDefaults && { questions: answers.questions }),
    ...(asks && { whileWaiting: (ways: readonly OtherWay[], over: AbortSignal) => otherWay(options, ways, over) }),
    ...(asks &&
      !options.takesDefaults && {
        confirmUnknown: ({ address }: OAuthAccount) =>
          askYesNo(`Nothing proves that this is ${address}. Store it anyway?`, false),
      }),
    ...(asks && {
      confirmIdentity: (identity: string, account: OAuthAccount) => confirmIdentity(say, identity, account),
    }),
    detected: ({ provider, because }) => remark(`provider: ${provider.name} (${because})`),
    note: (text) => remark(`note: ${text}`),
    openBrowser: (url, redirectUri, oneTime) => showUrl(options, url, redirectUri, oneTime),
    // A line that counts the time may stand there.
    meanwhile: (words) => say(asks && options.env.TERM !== 'dumb' ? `\r\x1b[K${words}` : words),
    showDeviceCode: (code) => {
      say('On any device, open this page and enter the code:');
      say(code.verification_uri);
      say(code.user_code);
      say(`(valid for ${Math.round(code.expires_in / 60)} min; waiting)`);
    },
    askForResponse: (url, check, over) => askForResponse(options, url, check, over),
    stored: ({ account, signedIn, verdict }: Outcome) => {
      remark(
        signedIn.identity === undefined ? `signed in for ${account.address}` : `signed in as ${signedIn.identity}`,
      );
      if (verdict !== 'unverified') return;
      remark(
        options.tests
          ? 'note: the provider did not say who signed in; a login at the mail server, or you, told it'
          : 'warning: the provider did not say who signed in, and --no-test leaves it at that',
      );
    },
    lacking: (missing, { address }) => {
      remark(`warning: not granted: ${namesOf(missing)}`);
      remark(`  do: cms account add ${quoted(address)}   # allow everything that is asked for`);
    },
    testing: ({ servers }: Account) => {
      const hosts = Object.values(servers).map(({ host, port }) => `${host}:${port}`);
      if (hosts.length > 0) remark(`logging in at ${hosts.join(' and ')} …`);
    },
    tested: (report, { address }) => {
      if (options.tells) sayReport(remark, report, address);
    },
    signal,
    interactive: asks,
  };
}

/** The address that is shown is never an argument: every user of this computer can read those. */
async function showUrl(options: TerminalOptions, url: string, redirectUri: string, oneTime: string): Promise<void> {
  const { say, show, env } = options;
  const opens = options.opensBrowser && hasBrowser(env, process.platform);
  say(opens ? 'Opening the browser; if none appears, open this address:' : 'Open this address in a browser:');
  say(url);
  // Under sudo the current user is not the one who can log in here.
  const forwarding = sshForwarding(env, new URL(redirectUri).port, env.SUDO_USER ?? userInfo().username);
  if (forwarding !== undefined) {
    say('You are here over SSH. For a browser on your own machine to come back, run there first:');
    show(forwarding);
  }
  say(`waiting for the browser on ${redirectUri} …`);
  if (opens && !(await openBrowser(oneTime, env))) say('note: no browser could be started here');
}

/** The command that brings the redirect from the machine at the other end of this session. @see sshd(8) SSH_CONNECTION */
function sshForwarding(env: Environment, port: string, user: string): string | undefined {
  if (!env.SSH_CONNECTION && !env.SSH_TTY) return undefined;
  const [, , address = '', sshPort = '22'] = (env.SSH_CONNECTION ?? '').split(' ');
  const host = isIP(address) === 0 ? hostname() : address;
  const options = /^\d+$/.test(sshPort) && sshPort !== '22' ? `-p ${sshPort} ` : '';
  return `ssh -N ${options}-L ${port}:127.0.0.1:${port} ${user}@${host}`;
}

function otherWay({ env }: TerminalOptions, ways: readonly OtherWay[], signal: AbortSignal): Promise<OtherWay> {
  return waitForKey<OtherWay>(
    {
      keys: {
        ...(ways.includes('manual') && { p: { value: 'manual', does: 'paste the address' } }),
        ...(ways.includes('device') && { d: { value: 'device', does: 'code elsewhere' } }),
      },
      input: process.stdin,
      output: process.stderr,
      term: env.TERM,
      interrupt: () => process.kill(process.pid, 'SIGINT'),
    },
    signal,
  );
}

/** At a terminal a prompt; else one line of standard input. */
async function askForResponse(
  { say, asks }: TerminalOptions,
  url: string | undefined,
  check: CheckAnswer,
  signal: AbortSignal,
): Promise<string> {
  if (url !== undefined) {
    say('Open this address in a browser anywhere and sign in:');
    say(url);
  }
  say('At the end the browser shows an address that it cannot open: paste that address, or the code in it.');
  if (asks) return askPasted('Address or code:', check, signal);
  const lines = createInterface({ input: process.stdin, signal });
  for await (const line of lines) {
    lines.close();
    return line;
  }
  signal.throwIfAborted();
  throw new CmsError('usage', 'no address was pasted: standard input is empty', {
    suggestions: ['run the command at a terminal, or write the final address to its standard input'],
  });
}

function confirmIdentity(say: (line: string) => void, identity: string, account: OAuthAccount): Promise<boolean> {
  say(`${identity} signed in, not ${account.login}.`);
  return askYesNo(`Is ${identity} the login that may use the mailbox ${account.address}?`, false);
}

/** @returns undefined for an empty answer */
async function askAuthority(say: (line: string) => void, { server }: LoginReport): Promise<string | undefined> {
  say(`The certificate of ${server} is from an authority that this computer does not know.`);
  const text = await askText('File of that authority (PEM), empty if you have none:', async (answer) => {
    if (answer !== '') await readAuthorities(placeOf(answer));
  });
  return text === '' ? undefined : placeOf(text);
}

function askAgain(say: (line: string) => void, missing: readonly MissingScope[]): Promise<boolean> {
  say(`Not granted: ${namesOf(missing)}.`);
  return askYesNo('Sign in again, and allow everything that is asked for?', true);
}

function questions(say: (line: string) => void, caFile: string | undefined): Questions {
  const issuer = (proposed?: string): Promise<string> => askIssuer(caFile, proposed);
  return {
    provider: (...asked) => askProvider(say, issuer, ...asked),
    issuer: () => issuer(),
    client: (question) => askClient(say, question),
    authority: (report) => askAuthority(say, report),
    again: (missing) => askAgain(say, missing),
    password: (provider) => askPassword(say, provider),
    server: (protocol, address, proposed) => askServer(protocol, address, proposed),
    store: () =>
      askChoice('No keyring is available. Where should the vault key be kept?', [
        { name: 'in a key file', value: 'file' as const, description: 'does not protect a copied home directory' },
        {
          name: 'in the keyring, once it is unlocked',
          value: 'keyring' as const,
          description: 'this stops here with an explanation',
        },
      ]),
  };
}

async function askPassword(say: (line: string) => void, provider: Provider): Promise<Secret | undefined> {
  if (provider.oauth !== 'supported') say(`${provider.name}: ${provider.reason}`);
  sayPasswordWay(say, provider);
  if (provider.oauth === 'restricted' && !(await askYesNo('Use an app password?', true))) return undefined;
  return askAppPassword();
}

async function askServer(
  protocol: Protocol,
  address: string,
  proposed: MailServer | undefined,
): Promise<Partial<MailServer> | undefined> {
  const question = `${protocol.toUpperCase()} server of ${address} (HOST or HOST:PORT, empty if none):`;
  const preset = proposed && `${proposed.host}:${proposed.port}`;
  const text = await askText(question, (answer) => answer === '' || parseServer(answer, protocol), preset);
  if (text === preset) return proposed;
  return text === '' ? undefined : parseServer(text, protocol);
}

const USUAL_PORTS: Readonly<Record<Protocol, number>> = { smtp: 587, imap: 993, pop: 995 };

/** @throws CmsError `data_invalid` */
function parseServer(text: string, protocol: Protocol): Partial<MailServer> {
  const [, given = '', port] = /^([^\s:]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = hostIn(given);
  const usable = port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
  if (host !== undefined && usable) return { host, ...(port !== undefined && { port: Number(port) }) };
  if (host !== undefined) throw new CmsError('data_invalid', `a port is a number from 1 to 65535, not ${port ?? ''}`);
  const name = `${protocol}.example.org`;
  throw new CmsError('data_invalid', `write it as ${name} or ${name}:${USUAL_PORTS[protocol]}`);
}

function hostIn(name: string): string | undefined {
  try {
    return parseDomain(name);
  } catch {
    return undefined;
  }
}

function sayReport(say: (line: string) => void, report: LoginReport, address: string): void {
  const { protocol, server, user, refused, explanation } = report;
  const name = protocol.toUpperCase();
  if (user !== undefined) say(`${name} ${server}: login as ${user} accepted`);
  else say(`${name} login failed: ${refused ?? 'no reason given'}`);
  if (explanation !== undefined) for (const line of advice(explanation, address)) say(`  ${line}`);
}
