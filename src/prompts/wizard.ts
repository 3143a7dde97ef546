/** The person at the terminal, as `account add` sees one: what is shown, and the few questions. All of it on stderr. */
import { createInterface } from 'node:readline/promises';
import type { Account, MailServer, OAuthAccount, Protocol } from '../lib/accounts/account.ts';
import { parseAddress, parseDomain } from '../lib/accounts/address.ts';
import { openBrowser } from '../lib/browser.ts';
import type { EnrolDialogue, Questions } from '../lib/enrol/enrol.ts';
import type { LoginReport } from '../lib/enrol/login-test.ts';
import type { Outcome } from '../lib/enrol/sign-in.ts';
import { CmsError } from '../lib/errors.ts';
import { advice } from '../lib/explain/advice.ts';
import { parseEndpoint } from '../lib/endpoint.ts';
import type { Environment } from '../lib/paths.ts';
import type { Provider } from '../lib/providers/provider.ts';
import { PRESETS } from '../lib/providers/table.ts';
import type { Secret } from '../lib/secret.ts';
import { askChoice, askText, askYesNo } from './ask.ts';
import { askAppPassword, askClient, sayPasswordWay } from './client.ts';

/** How long a sign-in may take: as long as somebody needs to find a password and a second factor. */
const SIGN_IN_TIMEOUT_MS = 10 * 60_000;

const SIGINT_GRACE_MS = 1000;

/** Ends a sign-in that nobody finishes, and one that is given up with Ctrl-C while no question is open. */
function endOfPatience(): AbortSignal {
  const controller = new AbortController();
  const end = (error: CmsError): void => controller.abort(error);
  setTimeout(() => {
    end(
      new CmsError('access_denied', `nobody finished the sign-in within ${SIGN_IN_TIMEOUT_MS / 60_000} min`, {
        suggestions: ['run the command again'],
      }),
    );
  }, SIGN_IN_TIMEOUT_MS).unref();
  process.once('SIGINT', () => {
    end(new CmsError('usage', 'cancelled; nothing was changed'));
    // Once more, without a listener: for work that heeds no signal, such as a login test.
    setTimeout(() => process.kill(process.pid, 'SIGINT'), SIGINT_GRACE_MS).unref();
  });
  return controller.signal;
}

export interface TerminalOptions {
  env: Environment;
  say: (line: string) => void;
  /** Whether questions may be asked at all. */
  asks: boolean;
  /** `--yes`: questions that have a default take it. */
  takesDefaults: boolean;
  /** `--no-browser` */
  opensBrowser: boolean;
  /** Not `--no-test` */
  tests: boolean;
}

export function askAddress(): Promise<string> {
  return askText('Mail address:', parseAddress);
}

/** The dialogue of `enrol` at this terminal. */
export function terminalDialogue(options: TerminalOptions): EnrolDialogue {
  const { say, asks } = options;
  const signal = endOfPatience();
  return {
    ...(asks && !options.takesDefaults && { questions: questions(say) }),
    ...(asks && {
      confirmIdentity: (identity: string, account: OAuthAccount) => confirmIdentity(say, identity, account),
    }),
    detected: ({ provider, because }) => say(`provider: ${provider.name} (${because})`),
    note: (text) => say(`note: ${text}`),
    openBrowser: (url, redirectUri) => showUrl(options, url, redirectUri),
    showDeviceCode: (code) => {
      say('On any device, open this page and enter the code:');
      say(code.verification_uri);
      say(code.user_code);
      say(`(valid for ${Math.round(code.expires_in / 60)} min; waiting)`);
    },
    askForResponse: (url) => askForResponse(options, url, signal),
    stored: ({ account, signedIn, verdict }: Outcome) => {
      say(signedIn.identity === undefined ? `signed in for ${account.address}` : `signed in as ${signedIn.identity}`);
      if (verdict !== 'unverified') return;
      say(
        options.tests
          ? 'note: the provider did not say who signed in; the login at the mail server tells'
          : 'warning: the provider did not say who signed in, and --no-test leaves it at that',
      );
    },
    testing: ({ servers }: Account) => {
      const hosts = Object.values(servers).map(({ host, port }) => `${host}:${port}`);
      if (hosts.length > 0) say(`logging in at ${hosts.join(' and ')} …`);
    },
    signal,
    interactive: asks,
  };
}

async function showUrl({ say, env, opensBrowser }: TerminalOptions, url: string, redirectUri: string): Promise<void> {
  if (opensBrowser) {
    say('Opening the browser; if none appears, open this address:');
  } else {
    say('Open this address in a browser:');
  }
  say(url);
  const { port } = new URL(redirectUri);
  if (env.SSH_CONNECTION) say(`(over SSH, first on your own machine: ssh -N -L ${port}:127.0.0.1:${port} THIS-HOST)`);
  say(`waiting for the browser on ${redirectUri} …`);
  if (opensBrowser && !(await openBrowser(url, env))) say('note: no browser could be started here');
}

/** At a terminal a prompt; else one line of standard input. */
async function askForResponse({ say, asks }: TerminalOptions, url: string, signal: AbortSignal): Promise<string> {
  say('Open this address in a browser anywhere and sign in:');
  say(url);
  say('At the end the browser shows an address that it cannot open: paste that address, or the code in it.');
  if (asks) return askText('Address or code:', notEmpty);
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

function notEmpty(text: string): void {
  if (text === '') throw new CmsError('usage', 'paste the address or the code');
}

function confirmIdentity(say: (line: string) => void, identity: string, account: OAuthAccount): Promise<boolean> {
  say(`${identity} signed in, not ${account.login}.`);
  return askYesNo(`Is ${identity} the login that may use the mailbox ${account.address}?`, false);
}

function questions(say: (line: string) => void): Questions {
  return {
    provider: askProvider,
    client: (question) => askClient(say, question),
    password: (provider) => askPassword(say, provider),
    server: (protocol, address) => askServer(protocol, address),
    store: () =>
      askChoice('No keyring answers here. Where shall the key of the vault be kept?', [
        { name: 'in a key file (does not protect a copied home directory)', value: 'file' as const },
        { name: 'in the keyring, once it is unlocked (this stops with an explanation)', value: 'keyring' as const },
      ]),
  };
}

async function askProvider(
  address: string,
  own: readonly Provider[],
): Promise<{ provider: Provider; issuer?: string }> {
  const provider = await askChoice(
    `Which provider has ${address}?`,
    [...own, ...likelyFirst(PRESETS)].map((preset) => ({ name: preset.name, value: preset })),
  );
  if (provider.id !== 'custom') return { provider };
  const issuer = await askText('OpenID Connect issuer (https://…):', (text) => parseEndpoint(text, 'issuer'));
  return { provider, issuer };
}

/** The three that most people have, then whatever else there is, then the long list. */
function likelyFirst(presets: readonly Provider[]): Provider[] {
  const custom = presets.filter(({ id }) => id === 'custom');
  const others = presets.filter(({ id }) => id !== 'custom');
  return [...others.slice(0, 3), ...custom, ...others.slice(3)];
}

async function askPassword(say: (line: string) => void, provider: Provider): Promise<Secret | undefined> {
  if (provider.oauth !== 'supported') say(`${provider.name}: ${provider.reason}`);
  sayPasswordWay(say, provider);
  if (provider.oauth === 'restricted' && !(await askYesNo('Use an app password?', true))) return undefined;
  return askAppPassword();
}

async function askServer(protocol: Protocol, address: string): Promise<Partial<MailServer> | undefined> {
  const question = `${protocol.toUpperCase()} server of ${address} (HOST or HOST:PORT, empty if none):`;
  const text = await askText(question, (answer) => answer === '' || parseServer(answer));
  return text === '' ? undefined : parseServer(text);
}

function parseServer(text: string): Partial<MailServer> {
  const [host = '', port, ...more] = text.split(':');
  if (more.length > 0 || (port !== undefined && !/^\d{1,5}$/.test(port))) {
    throw new CmsError('data_invalid', 'write it as smtp.example.org or smtp.example.org:587');
  }
  return { host: parseDomain(host), ...(port !== undefined && { port: Number(port) }) };
}

/** The end of `account add`, for people. */
export function sayResult(say: (line: string) => void, account: Account, reports: readonly LoginReport[]): void {
  for (const { protocol, server, user, refused, explanation } of reports) {
    const name = protocol.toUpperCase();
    if (user !== undefined) say(`${name} ${server}: login as ${user} accepted`);
    else say(`${name} login refused: ${refused ?? 'no reason given'}`);
    if (explanation !== undefined) for (const line of advice(explanation, account.address)) say(`  ${line}`);
  }
  const refused = reports.some((report) => report.refused !== undefined);
  if (refused) say(`The account is kept. Once that is mended: cms account test ${account.address}`);
  say(`next: cms serve · cms token ${account.address} · cms exim-config --install`);
}
