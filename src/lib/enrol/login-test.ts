/** The proof after a sign-in: a real login at the mail servers, and the user name that they take. */
import { type Account, caFileOf, type Protocol } from '../accounts/account.ts';
import { imapLogin } from '../mail/imap.ts';
import type { LoginOptions, LoginResult } from '../mail/login.ts';
import { smtpLogin } from '../mail/smtp.ts';
import { tryUsers } from '../mail/try-users.ts';
import type { Secret } from '../secret.ts';
import { trustedAuthorities } from '../trust.ts';

export type Credential = { accessToken: Secret } | { password: Secret };

export interface LoginReport {
  protocol: Protocol;
  /** `host:port` */
  server: string;
  /** The user name that worked. */
  user?: string;
  /** Why none did; one line for each name that was tried. */
  refused?: string;
}

const LOGINS: Partial<Record<Protocol, (options: LoginOptions) => Promise<LoginResult>>> = {
  smtp: smtpLogin,
  imap: imapLogin,
};

/** Logs in with every protocol of the account that has a server; POP is not tried. Never throws for what a server does. */
export async function testLogins(account: Account, credential: Credential): Promise<LoginReport[]> {
  const reports = account.protocols.map((protocol) => testLogin(account, protocol, credential));
  return (await Promise.all(reports)).filter((report) => report !== undefined);
}

async function testLogin(
  account: Account,
  protocol: Protocol,
  credential: Credential,
): Promise<LoginReport | undefined> {
  const server = account.servers[protocol];
  const login = LOGINS[protocol];
  if (server === undefined || login === undefined) return undefined;
  const kept = protocol === 'smtp' ? account.smtp_user : account.imap_user;
  const ca = await trustedAuthorities(caFileOf(account));
  const trust = ca === undefined ? {} : { ca };
  const result = await tryUsers([kept, account.login], (user) =>
    login({ server, user, ...trust, ...revealed(credential) }),
  );
  const place = { protocol, server: `${server.host}:${server.port}` };
  if (result.ok) return { ...place, user: result.user };
  return { ...place, refused: result.failures.map(({ detail }) => detail).join('; ') };
}

function revealed(credential: Credential): { accessToken: string } | { password: string } {
  return 'password' in credential
    ? { password: credential.password.reveal() }
    : { accessToken: credential.accessToken.reveal() };
}

/** The account with the user names that worked. */
export function withWorkingUsers(account: Account, reports: readonly LoginReport[]): Account {
  const user = (protocol: Protocol): string | undefined => reports.find((report) => report.protocol === protocol)?.user;
  return { ...account, smtp_user: user('smtp') ?? account.smtp_user, imap_user: user('imap') ?? account.imap_user };
}
