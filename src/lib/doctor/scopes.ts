/** What was granted against what the protocols need, and for whom a token is made. Pure. */
import { type OAuthAccount, type Protocol, PROTOCOLS } from '../accounts/account.ts';
import { findProvider } from '../providers/table.ts';
import { failure, type Judgement, ok, skipped, warning } from './finding.ts';

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

function comparable(scope: string): string {
  return scope.toLowerCase().replace(/\/$/, '');
}

export function judgeScopes({ address }: OAuthAccount, missing: readonly MissingScope[]): Judgement {
  if (missing.length === 0) return ok('what the protocols need was granted');
  const names = missing.map(({ scope, protocols }) => `${scope} (${protocols.join(', ')})`);
  return failure('protocol_not_granted', `not granted: ${names.join(', ')}`, {
    cause: 'the person or an administrator did not allow it, or the client is not registered for it',
    fix: [`cms account add ${address}   # allow everything that is asked for`],
  });
}

/** What Microsoft's mail servers call themselves in `aud`. */
const OUTLOOK = /^(?:https:\/\/(?:outlook|ps)\.[a-z0-9.-]+|00000002-0000-0ff1-ce00-000000000000)\/?$/i;
const GRAPH = /graph|^00000003-0000-0000-c000-000000000000$/i;

/**
 * Whether a token of Microsoft's is made for the mail servers. Of the token nothing but `aud` is looked at, and that is
 * never shown as it is.
 */
export function judgeAudience({ client, address }: OAuthAccount, token: string): Judgement {
  if (!/microsoft|outlook|azure/i.test(`${client.token_endpoint} ${client.scope}`))
    return skipped('only tokens of Microsoft tell');
  const audience = audienceOf(token);
  if (audience === undefined) return skipped('the token says nothing that could be read');
  if (OUTLOOK.test(audience)) return ok('made for the mail servers');
  const fix = [`cms account add ${address}   # with the mail scopes of the preset, and no scope of another service`];
  if (GRAPH.test(audience)) {
    return failure('config_invalid', 'the token is made for Microsoft Graph, not for the mail servers', {
      cause: 'a token is made for the resource of the first scope that is asked for',
      fix,
    });
  }
  return warning('the token is made for another service than the mail servers that cms knows', { fix });
}

/** `aud` of something that looks like a JWT; its signature is nobody's business but the mail server's. */
export function audienceOf(token: string): string | undefined {
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token) ?? [];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const aud = typeof claims === 'object' && claims !== null && 'aud' in claims ? claims.aud : undefined;
    return typeof aud === 'string' ? aud : undefined;
  } catch {
    return undefined;
  }
}
