/** What mail servers read out of the strings of src/lib/sasl, for tests. */
import type { OauthbearerTarget } from '../../src/lib/core/sasl.ts';

const SEPARATOR = '\x01';

/** What `xoauth2` was made from, or undefined. */
export function parseXoauth2(text: string): { user: string; token: string } | undefined {
  const [user, auth, ...end] = text.split(SEPARATOR);
  if (!user?.startsWith('user=') || !auth?.startsWith('auth=Bearer ') || end.join('|') !== '|') return undefined;
  return { user: user.slice('user='.length), token: auth.slice('auth=Bearer '.length) };
}

/** What `oauthbearer` was made from, or undefined. */
export function parseOauthbearer(text: string): ({ user: string; token: string } & OauthbearerTarget) | undefined {
  const [header, ...pairs] = text.split(SEPARATOR);
  const user = /^n,a=([^,]*),$/.exec(header ?? '')?.[1];
  if (user === undefined || pairs.slice(-2).join('|') !== '|') return undefined;
  const fields = new Map(pairs.slice(0, -2).map((pair) => splitOnce(pair)));
  const auth = fields.get('auth');
  if (!auth?.startsWith('Bearer ')) return undefined;
  const host = fields.get('host');
  const port = fields.get('port');
  return {
    user: user.replaceAll('=2C', ',').replaceAll('=3D', '='),
    token: auth.slice('Bearer '.length),
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port: Number(port) }),
  };
}

function splitOnce(pair: string): [string, string] {
  const equals = pair.indexOf('=');
  return [pair.slice(0, equals), pair.slice(equals + 1)];
}
