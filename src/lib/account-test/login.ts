/** The proof after a sign-in: a real login at the mail servers, and the user name that they take. */
import { type Account, caFileOf, type Protocol, saslUser } from '../accounts/account.ts';
import { parseLoginName, refuseFlagLike } from '../accounts/address.ts';
import { subjectOf } from '../accounts/subject.ts';
import { type Explanation, explain } from '../explain/explain.ts';
import { imapLogin } from '../mail/imap.ts';
import type { LoginFailure, LoginOptions, LoginResult } from '../mail/login.ts';
import { popLogin } from '../mail/pop.ts';
import { reach } from '../mail/reach.ts';
import { smtpLogin } from '../mail/smtp.ts';
import { tryUsers } from '../mail/try-users.ts';
import type { Secret } from '../core/secret.ts';
import { quoted } from '../core/shell-word.ts';
import { trustedAuthorities } from '../os/tls-authorities.ts';

export type Credential =
  /** `granted`: the scope of the token, where the provider said it. */
  { accessToken: Secret; granted?: string | undefined } | { password: Secret };

export interface LoginReport {
  protocol: Protocol;
  /** `host:port` */
  server: string;
  /** The user name that worked, and the mechanism of SASL, where that is known. */
  user?: string;
  mechanism?: string;
  /** Why none did; one line for each name that was tried. */
  refused?: string;
  /** What that means; of the first name that was tried. */
  explanation?: Explanation;
}

const LOGINS: Readonly<Record<Protocol, (options: LoginOptions) => Promise<LoginResult>>> = {
  smtp: smtpLogin,
  imap: imapLogin,
  pop: popLogin,
};

/** Logs in with every protocol of the account that has a server. Never throws for what a server does. */
export async function testLogins(
  account: Account,
  credential: Credential,
  tested: (report: LoginReport) => void = () => undefined,
  username?: string,
): Promise<LoginReport[]> {
  const reports = account.protocols.map(async (protocol) => {
    const report = await testLogin(account, protocol, credential, username);
    if (report !== undefined) tested(report);
    return report;
  });
  return (await Promise.all(reports)).filter((report) => report !== undefined);
}

/**
 * One login, as the name that is kept, as the login, or as the name that the provider calls the person by.
 * @returns undefined without a server
 */
async function testLogin(
  account: Account,
  protocol: Protocol,
  credential: Credential,
  username?: string,
): Promise<LoginReport | undefined> {
  const server = account.servers[protocol];
  if (server === undefined) return undefined;
  const ca = await trustedAuthorities(caFileOf(account));
  const trust = ca === undefined ? {} : { ca };
  const named = username !== undefined && isLoginName(username) ? [username] : [];
  const result = await tryUsers([saslUser(account, protocol), account.login, ...named], (user) =>
    LOGINS[protocol]({ server, user, ...trust, ...revealed(credential) }),
  );
  const place = { protocol, server: `${server.host}:${server.port}` };
  if (result.ok) {
    const { user, mechanism } = result;
    return { ...place, user, ...(mechanism !== undefined && { mechanism }) };
  }
  const [first, ...others] = result.failures;
  const failure = isSilence(first) ? await whereItEnds({ protocol, server, ...trust }, first) : first;
  const granted = 'password' in credential ? undefined : credential.granted;
  const explanation = explainFailure(account, protocol, failure, granted);
  return {
    ...place,
    refused: [failure, ...others].map(({ detail }) => detail).join('; '),
    explanation: failure.kind === 'refused' ? withUsername(explanation, account, protocol, named[0]) : explanation,
  };
}

/**
 * As `testLogin`, but as exim and the mail programs log in: what the server takes under another name than the one that
 * is kept is a refusal, which names that one.
 */
export async function testKeptLogin(
  account: Account,
  protocol: Protocol,
  credential: Credential,
  username?: string,
): Promise<LoginReport | undefined> {
  const report = await testLogin(account, protocol, credential, username);
  const kept = saslUser(account, protocol);
  if (report?.user === undefined || report.user === kept) return report;
  const { user, mechanism: _mechanism, ...place } = report;
  const text = `the login as ${kept} is refused; the server accepts the login as ${user}`;
  return { ...place, refused: text, explanation: explain({ ...subjectOf(account), user, source: protocol, text }) };
}

/** A refusal that the name of the user may be the reason of, with the command that sets the one the provider told. */
function withUsername(
  explanation: Explanation,
  account: Account,
  protocol: Protocol,
  username: string | undefined,
): Explanation {
  const { class: kind, fix } = explanation;
  const known = [saslUser(account, protocol), account.login];
  if (username === undefined || known.includes(username) || BESIDE_THE_NAME.has(kind)) return explanation;
  const flag = `--${protocol === 'smtp' ? 'smtp' : 'imap'}-user`;
  const command = `cms account add ${quoted(account.address)} ${flag} ${quoted(username)}`;
  return { ...explanation, fix: [...fix, `${command}   # if that is the user name at the mail server`] };
}

const BESIDE_THE_NAME: ReadonlySet<string> = new Set(['administrator', 'transient', 'back off']);

/** What a provider calls a person may hold what no mail server takes. */
function isLoginName(name: string): boolean {
  try {
    return refuseFlagLike(parseLoginName(name)) !== '';
  } catch {
    return false;
  }
}

/** After a login has waited in vain, in milliseconds. */
const LOOK_MS = 3000;

function isSilence({ kind, reply, detail }: LoginFailure): boolean {
  return kind === 'unreachable' && reply === undefined && /no answer|time ?out|ETIMEDOUT/i.test(detail);
}

/** A login that hears nothing knows no more than that; the way there, gone once more, names the step and the address. */
async function whereItEnds(
  way: Pick<Parameters<typeof reach>[0], 'protocol' | 'server' | 'ca'>,
  failure: LoginFailure,
): Promise<LoginFailure> {
  const unreached = await reach({ ...way, timeoutMs: LOOK_MS, done: () => undefined });
  return unreached?.failure ?? failure;
}

/**
 * A failure on the way to or at a mail server, explained for this account.
 * @param granted the scope of the token, where the provider said it
 */
export function explainFailure(
  account: Account,
  protocol: Protocol,
  failure: LoginFailure,
  granted?: string,
): Explanation {
  const { kind, code, reply, detail } = failure;
  const connection = kind === 'certificate' || kind === 'protocol' ? 'tls' : 'net';
  const source = reply === undefined ? connection : protocol;
  const { host } = account.servers[protocol] ?? {};
  const credential = account.kind === 'password' ? 'password' : 'token';
  return explain({
    ...subjectOf(account),
    user: saslUser(account, protocol),
    host,
    source,
    code,
    text: reply ?? detail,
    credential,
    granted,
  });
}

export function revealed(credential: Credential): { accessToken: string } | { password: string } {
  return 'password' in credential
    ? { password: credential.password.reveal() }
    : { accessToken: credential.accessToken.reveal() };
}

/** The account with the user names that worked. */
export function withWorkingUsers<T extends Account>(account: T, reports: readonly LoginReport[]): T {
  const user = (protocol: Protocol): string | undefined => reports.find((report) => report.protocol === protocol)?.user;
  return {
    ...account,
    smtp_user: user('smtp') ?? account.smtp_user,
    imap_user: user('imap') ?? user('pop') ?? account.imap_user,
  };
}
