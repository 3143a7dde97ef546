/** The mail that an account sends to itself right after a sign-in. */
import { randomUUID } from 'node:crypto';
import { type Account, caFileOf } from '../accounts/account.ts';
import { domainOf } from '../accounts/address.ts';
import { type Credential, explainFailure, revealed } from './login.ts';
import { CmsError } from '../core/errors.ts';
import type { Explanation } from '../explain/explain.ts';
import { smtpSend } from '../mail/smtp.ts';
import { trustedAuthorities } from '../os/tls-authorities.ts';
import { testMessage } from './message.ts';
import { quoted } from '../core/shell-word.ts';

/** Accepted by the server, or what it said instead. */
export type Sent =
  { ok: true; server: string; messageId: string } | { ok: false; detail: string; explanation: Explanation };

/**
 * Sends a short mail from the account to itself, over SMTP.
 * @param now milliseconds since the epoch
 * @throws CmsError `config_invalid` where no SMTP server is known
 */
export async function sendToSelf(account: Account, credential: Credential, now: number): Promise<Sent> {
  const { address, smtp_user: user } = account;
  const server = account.servers.smtp;
  if (server === undefined) {
    throw new CmsError('config_invalid', `no SMTP server is known for ${address}, so nothing was sent`, {
      suggestions: [`cms account add ${quoted(address)} --smtp-host HOST`],
    });
  }
  const ca = await trustedAuthorities(caFileOf(account));
  const messageId = `${randomUUID()}@${domainOf(address)}`;
  const login = { server, user, ...(ca !== undefined && { ca }), ...revealed(credential) };
  const result = await smtpSend(login, testMessage({ address, messageId, now }));
  if (result.ok) return { ok: true, server: `${server.host}:${server.port}`, messageId };
  return {
    ok: false,
    detail: result.detail,
    explanation: explainFailure(account, 'smtp', result, 'password' in credential ? undefined : credential.granted),
  };
}
