/** The question that a mail server asks about a bearer token: may whoever holds it into this mailbox? */
import type { EmbeddedProvider } from './provider.ts';

export interface MailboxAccess {
  provider: EmbeddedProvider;
  /** By mailbox: the further logins that may act for it, as with a shared mailbox. */
  delegates?: Record<string, readonly string[]>;
  /** By user: app passwords. */
  passwords?: Record<string, string>;
  /** Seconds that a token has to live on, as at Microsoft HVE. Default: none. */
  minValiditySeconds?: number;
}

export type BearerVerdict = 'accepted' | 'invalid_token' | 'insufficient_scope' | 'not_the_mailbox' | 'expires_soon';

/** Active according to the provider, meant for this protocol, and of this mailbox or a delegate of it. */
export async function judgeBearer(
  { provider, delegates = {}, minValiditySeconds = 0 }: MailboxAccess,
  mailbox: string,
  accessToken: string,
  scope: string,
): Promise<BearerVerdict> {
  const { active, email, scope: granted = '', exp = 0 } = await provider.introspect(accessToken);
  if (!active || email === undefined) return 'invalid_token';
  if (!granted.split(' ').includes(scope)) return 'insufficient_scope';
  if (exp - Date.now() / 1000 < minValiditySeconds) return 'expires_soon';
  const logins = [mailbox, ...(delegates[mailbox] ?? [])].map((login) => login.toLowerCase());
  return logins.includes(email.toLowerCase()) ? 'accepted' : 'not_the_mailbox';
}

export function acceptsPassword({ passwords = {} }: MailboxAccess, user: string, password: string): boolean {
  return Object.hasOwn(passwords, user) && passwords[user] === password;
}

/** One attempt to authenticate, as the server saw it. */
export interface Authentication {
  user: string;
  mechanism: string;
  accepted: boolean;
  /** 'accepted', the reason of the refusal, or the refusal that a test asked for. */
  verdict: string;
}
