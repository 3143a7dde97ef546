/** What a mail server says that a token would have to hold. Pure. */

/** As characters of a scope and of a command alike. */
const SCOPE = /^[A-Za-z0-9][\w.@+:/-]{0,199}$/;

/**
 * The scopes that the challenge before a refusal names, and that the token has not. A server names its scope whatever is
 * wrong with a token, so one that was granted is not the reason.
 * @param reply the server's words, with the JSON of the challenge
 * @see RFC 7628 section 3.2.2
 */
export function missingScopeIn(reply: string, granted: string): string | undefined {
  const [, named = ''] = /"scope"\s*:\s*"([^"]*)"/.exec(reply) ?? [];
  const there = new Set(granted.split(/\s+/).map(comparable));
  const missing = named.split(/\s+/).filter((scope) => SCOPE.test(scope) && !there.has(comparable(scope)));
  return missing.length === 0 ? undefined : missing.join(' ');
}

/** Servers differ in case and in a slash at the end. */
export function comparable(scope: string): string {
  return scope.toLowerCase().replace(/\/$/, '');
}
