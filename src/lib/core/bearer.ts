/** What an access token may look like: judged where it is received, and relied on everywhere else. Pure. */

// RFC 6750 section 2.1, b64token. exim would turn "^" into NUL; nothing outside this set is ever served.
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/** Longest token served, in bytes: more would overflow exim's line of 4096 and freeze the message. */
export const MAX_TOKEN_BYTES = 3000;

export function isBearerToken(token: string): boolean {
  return BEARER_TOKEN.test(token);
}

/** Why a token cannot be used at mail servers, as a clause without the token; undefined where nothing is wrong. */
export function defectOfToken(token: string): string | undefined {
  if (!isBearerToken(token)) return 'the provider issued an access token with characters that RFC 6750 forbids';
  if (token.length <= MAX_TOKEN_BYTES) return undefined;
  return `the access token has ${token.length} bytes, more than mail servers and exim take (${MAX_TOKEN_BYTES})`;
}
