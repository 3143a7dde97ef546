/** What was granted against what the protocols need. Pure. */
import { type OAuthAccount, type Protocol, PROTOCOLS } from '../accounts/account.ts';
import { findProvider } from './table.ts';
import { comparable } from '../explain/missing-scope.ts';

/** Those that have nothing to do with mail; providers give them back under other names, or not at all. */
const IDENTITY = /^(?:openid|email|profile|offline_access)$/;

export interface MissingScope {
  scope: string;
  protocols: Protocol[];
}

/**
 * The mail scopes that are not among those granted. What was asked for is what is needed, where no preset says so; a
 * scope whose name says for which protocol it is counts for that one only.
 * @param granted undefined where the provider did not say: then it is what was asked for (RFC 6749 section 5.1)
 */
export function missingScopes(account: OAuthAccount, granted: string | undefined): MissingScope[] {
  if (granted === undefined) return [];
  const there = new Set(granted.split(' ').map(comparable));
  const wanted = new Map<string, Protocol[]>();
  for (const protocol of account.protocols) {
    for (const scope of scopesFor(account, protocol)) wanted.set(scope, [...(wanted.get(scope) ?? []), protocol]);
  }
  return [...wanted]
    .filter(([scope]) => !there.has(comparable(scope)))
    .map(([scope, protocols]) => ({ scope, protocols }));
}

function scopesFor({ client, provider }: OAuthAccount, protocol: Protocol): string[] {
  const asked = client.scope.split(' ').filter((scope) => scope !== '' && !IDENTITY.test(scope));
  const preset = findProvider(provider);
  const known = preset !== undefined && preset.oauth !== 'none' ? (preset.scopes[protocol] ?? []) : [];
  // With a scope of one's own in place of the preset's, the preset says nothing.
  const stated = known.filter((scope) => asked.some((each) => comparable(each) === comparable(scope)));
  if (stated.length > 0) return stated;
  return asked.filter((scope) => {
    const named = PROTOCOLS.filter((each) => scope.toLowerCase().includes(each));
    return named.length === 0 || named.includes(protocol);
  });
}

/** `scope (protocol, …)` of each, for people. */
export function namesOf(missing: readonly MissingScope[]): string {
  return missing.map(({ scope, protocols }) => `${scope} (${protocols.join(', ')})`).join(', ');
}
