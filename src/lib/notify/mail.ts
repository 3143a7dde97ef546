/** Telling it by a mail that another account sends, one that is well. */
import { randomUUID } from 'node:crypto';
import { type Account, caFileOf } from '../accounts/account.ts';
import { messageOf } from '../core/errors.ts';
import { smtpSend } from '../mail/smtp.ts';
import { redact } from '../core/redact.ts';
import type { NotifySettings } from '../config/notify.ts';
import type { TokenService } from '../tokens/service.ts';
import { trustedAuthorities } from '../os/tls-authorities.ts';
import { details, type Event, headline, plain } from './event.ts';

/** One that is tried after another, should the first not get rid of it. */
const MAX_SENDERS = 3;

export interface Posted {
  from: string;
  to: string;
}

export interface Post {
  settings: NotifySettings;
  /** All accounts that are well and not those that the mail is about. */
  healthy: readonly Account[];
  tokens: TokenService;
  hostname: string;
  now: number;
  /** How many more accounts the same has happened to. */
  others?: number;
}

/** The accounts to try, in this order; none where mail is off. */
function senders({ mail = false }: NotifySettings, healthy: readonly Account[]): Account[] {
  const able = healthy.filter(({ servers }) => servers.smtp !== undefined);
  return able.filter(({ address }) => mail === true || address === mail).slice(0, MAX_SENDERS);
}

/** Why no account could send the mail even if all were well; undefined if one can. */
export function mailTrouble(settings: NotifySettings, accounts: readonly Account[]): string | undefined {
  const { mail = false } = settings;
  if (mail === false || senders(settings, accounts).length > 0) return undefined;
  if (mail === true) return 'no account has a server for sending';
  const isKnown = accounts.some(({ address }) => address === mail);
  return isKnown ? `${mail} has no server for sending` : `there is no account ${mail}`;
}

/**
 * Sends the mail, by the first account that manages to.
 * @returns sender and recipient, or the reasons why it was not sent
 */
export async function sendMail(event: Event, post: Post): Promise<Posted | string> {
  const failures: string[] = [];
  for (const account of senders(post.settings, post.healthy)) {
    const to = post.settings.mailTo ?? account.address;
    const failure = await sendFrom(account, to, event, post);
    if (failure === undefined) return { from: account.address, to };
    failures.push(`${account.address}: ${failure}`);
  }
  return failures.join('; ') || 'no account that may send it is well';
}

async function sendFrom(account: Account, to: string, event: Event, post: Post): Promise<string | undefined> {
  const { address: from, smtp_user: user, servers } = account;
  if (servers.smtp === undefined) return 'it has no server for sending';
  try {
    const ca = await trustedAuthorities(caFileOf(account));
    const common = { server: servers.smtp, user, ...(ca !== undefined && { ca }) };
    const options =
      account.kind === 'password'
        ? { ...common, password: (await post.tokens.password(account)).reveal() }
        : { ...common, accessToken: (await post.tokens.accessToken(account)).access_token.reveal() };
    const result = await smtpSend(options, { from, to, raw: renderMail(event, { from, to }, post) });
    return result.ok ? undefined : result.detail;
  } catch (error) {
    return messageOf(error);
  }
}

/** The whole message. Addresses are ASCII; the text may hold whatever a provider has said, and travels as base64. */
export function renderMail(
  event: Event,
  { from, to }: Posted,
  post: Pick<Post, 'hostname' | 'now' | 'others'>,
): string {
  const { hostname, now, others = 0 } = post;
  const text = [headline(event, others), '', ...details(event, others), '', `cms on ${hostname}`].map((line) =>
    plain(redact(line)),
  );
  const body = Buffer.from(`${text.join('\r\n')}\r\n`).toString('base64');
  return [
    `From: cms <${from}>`,
    `To: <${to}>`,
    `Subject: cms: ${plain(headline(event, others))}`,
    `Date: ${new Date(now).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${randomUUID()}@${from.slice(from.lastIndexOf('@') + 1)}>`,
    // RFC 3834: no vacation reply should come back.
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
    '',
    ...(body.match(/.{1,76}/g) ?? []),
    '',
  ].join('\r\n');
}
