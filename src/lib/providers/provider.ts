/** What a preset says about a mail provider. Data only: the rules that use it are in the files next to it. */
import type { MailServer, OAuthClient, Protocol } from '../accounts/account.ts';

/** Ways to sign in: a browser on this machine, RFC 8628's device code, or a URL carried by hand. */
export type Flow = 'browser' | 'device' | 'manual';

/** Where a provider's authorization server answers; `{tenant}` stands for Microsoft's tenant. RFC 8414 names. */
export type Endpoints = Pick<
  OAuthClient,
  | 'authorization_endpoint'
  | 'device_authorization_endpoint'
  | 'revocation_endpoint'
  | 'userinfo_endpoint'
  | 'jwks_uri'
  // Unset: `iss` is checked where the answer carries it, and not demanded (RFC 9207). No preset sets it: nobody's
  // promise to send it always has been verified.
  | 'authorization_response_iss_parameter_supported'
> & {
  /** May hold `{tenantid}`, which an id_token fills in. */
  issuer?: string;
  token_endpoint?: string;
};

/** How to come by a password for programs, or why there is none. */
type AppPassword = { url: string; how: string } | { unavailable: string };

/** Servers by protocol; the first one is the default. */
export type ProviderServers = Partial<Record<Protocol, readonly MailServer[]>>;

export interface DetectionRules {
  /** Mail domains that belong to this provider, whole names. */
  domains: readonly string[];
  /** Domains whose subdomains belong to it too (`contoso.onmicrosoft.com`). */
  domain_suffixes?: readonly string[];
  /** Ends of MX host names, matched on label borders. */
  mx_suffixes: readonly string[];
  /** The provider is moving mailboxes away: a known MX counts more than the domain. */
  mx_decides?: true;
}

interface ProviderCommon {
  id: string;
  name: string;
  servers: ProviderServers;
  detect: DetectionRules;
  /** Sentences worth showing when something does not work. */
  notes?: readonly string[];
  /** Only with presets out of a settings file. */
  defaults?: ProviderDefaults;
}

/** What a preset of one's own answers beforehand; flags count more. */
export interface ProviderDefaults {
  /** The settings file. */
  from: string;
  client_id?: string;
  client_secret_file?: string;
  ca_file?: string;
  scope?: string;
  flow?: Flow;
  redirect_port?: number;
}

/** What has to be registered with the provider before anybody can sign in. */
interface ClientRegistration {
  /**
   * `required`: without one the token endpoint refuses. `optional`: as the registration has it. `none`: a public
   * client, never asked for; one that is given all the same is sent, because an organisation may have its reasons.
   */
  secret: 'required' | 'optional' | 'none';
  /** The kind of client to choose in the provider's form. */
  type: string;
  register_url?: string;
  /** What has to be done there before, each with its address. */
  steps?: readonly string[];
  /** The text to enter as redirect URI, letter for letter. */
  redirect_to_register: string;
  note?: string;
}

interface OAuthDetails extends ProviderCommon {
  endpoints: Endpoints;
  /** Present where the endpoints hold `{tenant}`. Without a default it must be given. */
  tenant?: { default?: string };
  /** Mail scopes. A protocol without an entry cannot be had with a token here; an empty entry needs no scope. */
  scopes: Partial<Record<Protocol, readonly string[]>>;
  /** Scopes that bring an id_token with the address; empty where the provider has none or refuses them. */
  identity_scopes: readonly string[];
  /** The scope that asks for a refresh token, where that takes a scope. */
  offline_scope?: string;
  /** Further parameters of the authorization request; `{login}` stands for the identity that signs in. */
  authorization_params: Readonly<Record<string, string>>;
  /** `mail`: a refresh names the mail scopes again, because the token is made for the first one's resource. */
  refresh_scope?: 'mail';
  client: ClientRegistration;
  redirect: OAuthClient['redirect'];
  flows: Readonly<Record<Flow, boolean>> & {
    /** Why the device flow does not work, or what it takes. */
    device_note?: string;
  };
  /** What usually ends a sign-in of this provider, in words for the one who has to sign in again. */
  expiry_note?: string;
}

export interface SupportedProvider extends OAuthDetails {
  oauth: 'supported';
  app_password?: AppPassword;
}

/** OAuth exists, but the provider gives clients only to those it approves. */
export interface RestrictedProvider extends OAuthDetails {
  oauth: 'restricted';
  reason: string;
  app_password: AppPassword;
}

export interface PasswordProvider extends ProviderCommon {
  oauth: 'none';
  reason: string;
  app_password: AppPassword;
}

export type OAuthProvider = SupportedProvider | RestrictedProvider;
export type Provider = OAuthProvider | PasswordProvider;
