/** Whether enough was granted, and the audience of a token. Pure. */
import type { OAuthAccount } from '../../accounts/account.ts';
import { type MissingScope, namesOf } from '../../providers/missing-scopes.ts';
import { failure, type Judgement, ok, skipped, warning } from '../check.ts';
import { quoted } from '../../core/shell-word.ts';

export { type MissingScope, missingScopes } from '../../providers/missing-scopes.ts';

export function judgeScopes({ address }: OAuthAccount, missing: readonly MissingScope[]): Judgement {
  if (missing.length === 0) return ok('what the protocols need was granted');
  return failure('protocol_not_granted', `not granted: ${namesOf(missing)}`, {
    cause: 'the person or an administrator did not allow it, or the client is not registered for it',
    fix: [`cms account add ${quoted(address)}   # allow everything that is asked for`],
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
  const fix = [
    `cms account add ${quoted(address)}   # with the mail scopes of the preset, and no scope of another service`,
  ];
  if (GRAPH.test(audience)) {
    return failure('config_invalid', 'the token is made for Microsoft Graph, not for the mail servers', {
      cause: 'a token is made for the resource of the first scope that is asked for',
      fix,
    });
  }
  return warning('the token is made for another service than the mail servers that cms knows', { fix });
}

/** `aud` of something that looks like a JWT; its signature is nobody's business but the mail server's. */
function audienceOf(token: string): string | undefined {
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
