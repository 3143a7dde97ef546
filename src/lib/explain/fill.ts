/** Fills in the names in braces. A value that could mean something to a shell is left out. */

import { quoted } from '../core/shell-word.ts';

/** Of what is known about the account, whatever is known. */
export interface Subject {
  address?: string | undefined;
  /** Who signs in; by default the address. */
  login?: string | undefined;
  /** What SASL's `user=` said; by default the address. */
  user?: string | undefined;
  host?: string | undefined;
  clientId?: string | undefined;
  scope?: string | undefined;
  /** Tells Microsoft's cloud and tenant. */
  tokenEndpoint?: string | undefined;
  /** What the token lacks, as the mail server says. */
  missingScope?: string | undefined;
  /** Where an endpoint points to, and the flag that names that endpoint. */
  location?: string | undefined;
  endpointFlag?: string | undefined;
}

/** Nothing in it ends a word or begins anything in sh or PowerShell. */
const HARMLESS = /^[A-Za-z0-9][A-Za-z0-9._@+:/-]*$/;
const PRINTABLE = /^[\x21-\x7e]+$/;
/** Tenants that are no tenant: the organisation is then named by the domain of the login. */
const ANY_TENANT: ReadonlySet<string> = new Set(['common', 'organizations', 'consumers']);

/**
 * A name in a command is quoted where a shell would take it apart: a command has to work as it stands. Elsewhere, what
 * is not harmless gives way to its own name in capitals.
 */
export function fill(template: string, subject: Subject): string {
  const remark = template.startsWith('cms ') ? template.indexOf(' # ') : 0;
  const commandEnd = remark < 0 ? template.length : remark;
  return template.replace(/\{([a-z_]+)\}/g, (_all, name: string, at: number) => {
    const word = at < commandEnd ? nameIn(name, subject) : undefined;
    return word ?? valueOf(name, subject) ?? name.toUpperCase();
  });
}

function nameIn(name: string, { address, login = address, user = address }: Subject): string | undefined {
  const names: Record<string, string | undefined> = { address, login, user };
  const value = names[name];
  return value !== undefined && PRINTABLE.test(value) ? quoted(value) : undefined;
}

function valueOf(name: string, subject: Subject): string | undefined {
  const { address, login = address, user = address, host, clientId, scope } = subject;
  switch (name) {
    case 'address':
      return harmless(address);
    case 'login':
      return harmless(login);
    case 'user':
      return harmless(user);
    case 'host':
      return harmless(host) ?? 'the server';
    case 'client_id':
      return harmless(clientId);
    case 'location':
      return harmless(subject.location) ?? 'URL';
    case 'endpoint_flag':
      return subject.endpointFlag ?? '--token-endpoint';
    case 'scope':
      return scopes(scope);
    case 'missing_scope':
      return scopes(subject.missingScope);
    case 'whole_scope':
      return scopes([...new Set(`${scope ?? ''} ${subject.missingScope ?? ''}`.split(' '))].join(' '));
    case 'login_base':
      return loginBase(subject.tokenEndpoint);
    case 'tenant':
      return tenant(subject.tokenEndpoint) ?? harmless(login?.split('@')[1]) ?? 'organizations';
    default:
      return undefined;
  }
}

function scopes(value: string | undefined): string | undefined {
  return value
    ?.split(' ')
    .filter((each) => HARMLESS.test(each))
    .join(' ');
}

function harmless(value: string | undefined): string | undefined {
  return value !== undefined && HARMLESS.test(value) ? value : undefined;
}

function loginBase(tokenEndpoint: string | undefined): string {
  const host = /^https:\/\/(login\.(?:microsoftonline\.(?:com|us)|partner\.microsoftonline\.cn))\//.exec(
    tokenEndpoint ?? '',
  );
  return `https://${host?.[1] ?? 'login.microsoftonline.com'}`;
}

function tenant(tokenEndpoint: string | undefined): string | undefined {
  const name = /^https:\/\/[^/]+\/([A-Za-z0-9.-]+)\/oauth2\/v2\.0\/token$/.exec(tokenEndpoint ?? '')?.[1];
  return name === undefined || ANY_TENANT.has(name) ? undefined : name;
}
