/** An account as it is shown and printed as JSON: never a secret. */
import { CmsError, type ErrorCode } from '../core/errors.ts';
import type { Who } from '../explain/entry.ts';
import { type Explanation, explain, fromWords } from '../explain/explain.ts';
import type { Subject } from '../explain/fill.ts';
import { explainReason } from '../explain/grant.ts';
import { localTime } from '../terminal/local-time.ts';
import type { GrantHeader } from '../vault/grant.ts';
import type { Vault } from '../vault/vault.ts';
import { type Account, caFileOf } from './account.ts';
import { subjectOf } from './subject.ts';
import { quoted } from '../core/shell-word.ts';

export interface AccountView {
  address: string;
  kind: Account['kind'];
  provider: string;
  login: string;
  smtp_user: string;
  imap_user: string;
  aliases: string[];
  protocols: string[];
  servers: Account['servers'];
  created_at: string;
  ca_file?: string;
  issuer?: string;
  token_endpoint?: string;
  client_id?: string;
  scope?: string;
}

export function accountView(account: Account): AccountView {
  const { kind, address, provider, login, smtp_user, imap_user, aliases, protocols, servers, created_at } = account;
  const ca_file = caFileOf(account);
  const about = { address, kind, provider, login, smtp_user, imap_user, aliases, protocols, servers, created_at };
  const common = { ...about, ...(ca_file !== undefined && { ca_file }) };
  if (account.kind === 'password') return common;
  const { issuer, token_endpoint, client_id, scope } = account.client;
  return { ...common, ...(issuer !== undefined && { issuer }), token_endpoint, client_id, scope };
}

export type AccountState =
  'ok' | 'unknown' | 'failing' | 'refused' | 'degraded' | 'locked' | 'unreadable' | 'authorization_required';

/** How an account is doing, and what it takes where that is not well. */
export interface StateView {
  state: AccountState;
  /** The error that stands for the state; its exit status is that of `cms status`. */
  code?: ErrorCode;
  /** In the words of the server that refused. */
  reason?: string;
  /** What that means, and who can fix it, if cms knows. */
  explanation?: string;
  who?: Who;
  /** ISO 8601: since when. */
  since?: string;
  /** What to do: a command, or what to wait for. */
  remedy?: string;
}

export interface GrantView extends StateView {
  /** ISO 8601. */
  signed_in_at?: string;
  identity?: string;
  access_token_expires_at?: string;
  last_refresh_at?: string;
}

/** What the vault says about an account, as far as it can be read without the key. */
export function grantView(address: string, header: GrantHeader | undefined, about?: Subject): GrantView {
  if (header === undefined) return neverSignedIn(address);
  const { identity, issued_at, expires_at } = header;
  return {
    ...stateOfGrant(header, about),
    signed_in_at: iso(header.signed_in_at),
    ...(identity !== undefined && { identity }),
    ...(issued_at !== undefined && { last_refresh_at: iso(issued_at) }),
    ...(expires_at !== undefined && { access_token_expires_at: iso(expires_at) }),
  };
}

/** `grantView` of what is on the disk; a file that cannot be read is a state, not an error. */
export function readGrantView(vault: Vault, account: Account): GrantView {
  return readAs(vault, account, (header) => grantView(account.address, header, subjectOf(account)));
}

/** Only the state of it. */
export function readState(vault: Vault, account: Account): StateView {
  return readAs(vault, account, (header) =>
    header === undefined ? neverSignedIn(account.address) : stateOfGrant(header, subjectOf(account)),
  );
}

function readAs<T extends StateView>(
  vault: Vault,
  { address }: Account,
  view: (header: GrantHeader | undefined) => T,
): T | StateView {
  try {
    return view(vault.readHeader(address));
  } catch (error) {
    if (error instanceof CmsError) return stateOfTrouble(address, error);
    throw error;
  }
}

/**
 * @param about what a fix may name in addition to the address
 * @param byItself whether a broker says this, which tries again
 */
export function stateOfGrant(header: GrantHeader, about: Subject = {}, byItself = false): StateView {
  const { address, state, reason, failure } = header;
  if (state === 'authorization_required') {
    const explained = explainReason(header, about);
    return {
      state,
      code: 'authorization_required',
      ...meaning(explained),
      remedy: explained?.fix[0] ?? signIn(address),
      ...(reason && {
        reason: [reason.error, reason.description].filter(Boolean).join(': '),
        since: iso(reason.since ?? reason.at),
      }),
    };
  }
  if (failure === undefined) return { state: 'ok' };
  const explained = explain({ ...about, source: 'oauth', ...fromWords(failure.message), address });
  const again = `cms token ${quoted(address)} --force-refresh`;
  // A server that was asked too often is not asked once more.
  const tooOften = explained.class === 'back off';
  return {
    state: 'failing',
    code: failure.code,
    reason: failure.message,
    ...meaning(explained),
    since: iso(failure.since),
    remedy:
      failure.code === 'client_invalid'
        ? (explained.fix[0] ?? `${signIn(address)} --client-id ID, or fix the client at the provider`)
        : byItself
          ? `tried again by itself at ${localTime(iso(failure.retry_at)).slice(11)}${tooOften ? '' : `; at once: ${again}`}`
          : `${again}   # ${tooOften ? 'in a while' : 'tries again'}`,
  };
}

function meaning(explained: Explanation | undefined): Pick<StateView, 'explanation' | 'who'> {
  if (explained === undefined || explained.class === 'unknown') return {};
  return { explanation: explained.sentence, who: explained.who };
}

/** A grant that cannot be read. */
export function stateOfTrouble(address: string, error: CmsError, since?: number): StateView {
  if (error.code === 'authorization_required') return neverSignedIn(address);
  const remedy = error.suggestions[0];
  return {
    state: error.code === 'store_locked' ? 'locked' : 'unreadable',
    code: error.code,
    reason: error.message,
    ...(since !== undefined && { since: iso(since) }),
    ...(remedy !== undefined && { remedy }),
  };
}

function neverSignedIn(address: string): StateView {
  return {
    state: 'authorization_required',
    code: 'authorization_required',
    reason: 'no sign-in is stored',
    remedy: signIn(address),
  };
}

function signIn(address: string): string {
  return `cms account add ${quoted(address)}`;
}

export function iso(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
