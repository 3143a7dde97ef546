/** Microsoft's tenant: the organisation in the path of an endpoint. */
import { printable } from '../accounts/address.ts';
import { CmsError } from '../core/errors.ts';
import type { OAuthProvider } from './provider.ts';

export interface Tenant {
  name: string;
  /** Whether `name` is the tenant's id, and not a domain or a group of tenants. */
  isId: boolean;
}

const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const GROUPS: ReadonlySet<string> = new Set(['common', 'organizations', 'consumers']);
const DOMAIN = /^(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$/;

/**
 * A tenant: its id, one of its domains, or `common`, `organizations`, `consumers`.
 * It becomes part of a URL that secrets are sent to, so nothing else is let through.
 * @throws CmsError `config_invalid`
 */
export function parseTenant(text: string): Tenant {
  const name = text.trim().toLowerCase();
  if (ID.test(name)) return { name, isId: true };
  if (GROUPS.has(name) || DOMAIN.test(name)) return { name, isId: false };
  throw new CmsError('config_invalid', `not a tenant: ${printable(text)}`, {
    suggestions: ['--tenant takes the id or a domain of the organisation, or common, organizations, consumers'],
  });
}

/**
 * The tenant to use at `provider`: the one given, else its default; undefined where it knows none.
 * @throws CmsError `config_invalid`: not a tenant, one is missing, or one is given where there are none
 */
export function resolveTenant(provider: OAuthProvider, given?: string): Tenant | undefined {
  if (provider.tenant === undefined && given === undefined) return undefined;
  if (provider.tenant === undefined) {
    throw new CmsError('config_invalid', `${provider.name} has no tenants`, { suggestions: ['leave --tenant out'] });
  }
  const text = given ?? provider.tenant.default;
  if (text !== undefined) return parseTenant(text);
  throw new CmsError('config_invalid', `${provider.name} needs the tenant of the organisation`, {
    suggestions: [`cms account add ADDRESS --provider ${provider.id} --tenant ID_OR_DOMAIN`],
  });
}
