/** What is known about an account. Nothing here is secret: secrets are sealed in the vault, under the same address. */

/** Protocols that a token may be used for. */
export type Protocol = 'smtp' | 'imap' | 'pop';
export const PROTOCOLS: readonly Protocol[] = ['smtp', 'imap', 'pop'];

export interface MailServer {
  host: string;
  port: number;
  /** `implicit`: TLS from the first byte (RFC 8314). `starttls`: upgraded, and never used without. */
  tls: 'starttls' | 'implicit';
}

/** Where the authorization server answers, and as which client we speak to it. Names after RFC 8414 and RFC 7591. */
export interface OAuthClient {
  client_id: string;
  /** `none` for a public client. The secret itself stands in the vault. */
  token_endpoint_auth_method: 'none' | 'client_secret_post' | 'client_secret_basic';
  /** Identifier of the authorization server; may hold Microsoft's `{tenantid}` placeholder. */
  issuer?: string;
  authorization_endpoint?: string;
  token_endpoint: string;
  device_authorization_endpoint?: string;
  revocation_endpoint?: string;
  userinfo_endpoint?: string;
  jwks_uri?: string;
  /** RFC 9207: the authorization response carries `iss`, and one without it is refused. */
  authorization_response_iss_parameter_supported?: boolean;
  /** Scopes asked for, separated by spaces: the union over the account's protocols. */
  scope: string;
  /** Sent again as `scope` on refresh; only where the provider wants it (Microsoft). */
  refresh_scope?: string;
  /** Further parameters of the authorization request (`access_type`, `prompt`, …). */
  authorization_params: Record<string, string>;
  /**
   * Loopback redirect URI (RFC 8252 section 7.3); no port means an ephemeral one. With `https` nothing listens and the
   * URI has no port unless one is given: the address of the last page is pasted (manual flow).
   */
  redirect: { scheme?: 'https'; host: '127.0.0.1' | 'localhost'; path: string; port?: number };
  /** File of a CA that is trusted in addition to the system's: here, and for the mail servers of the account. */
  ca_file?: string;
  /** Where a client that registered itself can be deleted; the token for it stands in the vault. RFC 7592 */
  registration_client_uri?: string;
}

interface AccountCommon {
  /** The key of the account: a validated, lower-cased address. */
  address: string;
  /** Preset id of the provider, or `custom`. */
  provider: string;
  /** The identity that signs in; differs from `address` for delegates and shared mailboxes. */
  login: string;
  /** What SASL's `user=` says for SMTP, and for IMAP and POP. */
  smtp_user: string;
  imap_user: string;
  /** Further senders of this account: addresses, or `@domain` for a whole domain. */
  aliases: string[];
  protocols: Protocol[];
  servers: Partial<Record<Protocol, MailServer>>;
  /** ISO 8601. */
  created_at: string;
}

export interface OAuthAccount extends AccountCommon {
  kind: 'oauth';
  client: OAuthClient;
}

export interface PasswordAccount extends AccountCommon {
  kind: 'password';
  /** As that of an OAuthClient. */
  ca_file?: string;
}

export type Account = OAuthAccount | PasswordAccount;

/** The file of a CA that the account's servers are verified with, in addition to the system's. */
export function caFileOf(account: Account): string | undefined {
  return account.kind === 'oauth' ? account.client.ca_file : account.ca_file;
}

export function withAuthority<T extends Account>(account: T, ca_file: string): T {
  return account.kind === 'oauth' ? { ...account, client: { ...account.client, ca_file } } : { ...account, ca_file };
}

/** The name that SASL's `user=` (or PLAIN's authcid) carries for `protocol`. */
export function saslUser(account: Account, protocol: Protocol): string {
  return protocol === 'smtp' ? account.smtp_user : account.imap_user;
}
