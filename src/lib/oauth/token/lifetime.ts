/** RFC 6749 section 5.1 leaves a missing `expires_in` to the provider's documents; an hour is what most of them use. */
const DEFAULT_LIFETIME_SECONDS = 3600;
const MAX_LIFETIME_SECONDS = 7 * 24 * 3600;

/** Longer than any policy; what is beyond it is a way to say "never". */
const MAX_REFRESH_LIFETIME_SECONDS = 10 * 365 * 24 * 3600;

/** `expires_in` of a token response in seconds, clamped to 0 … 7 days; text of digits is taken, nonsense is an hour. */
export function lifetimeSeconds(expiresIn: unknown): number {
  const seconds = secondsIn(expiresIn);
  if (seconds === undefined) return DEFAULT_LIFETIME_SECONDS;
  return Math.min(Math.max(seconds, 0), MAX_LIFETIME_SECONDS);
}

/**
 * How long the refresh token of a token response lives, in seconds. No standard has a member for it; Google says
 * `refresh_token_expires_in`, Keycloak `refresh_expires_in` (0 for a token that does not end).
 * @returns undefined where it does not say, or says that there is no end
 */
export function refreshTokenLifetimeSeconds(response: object): number | undefined {
  const { refresh_token_expires_in, refresh_expires_in } = response as Record<string, unknown>;
  const seconds = secondsIn(refresh_token_expires_in ?? refresh_expires_in);
  return seconds !== undefined && seconds > 0 && seconds <= MAX_REFRESH_LIFETIME_SECONDS ? seconds : undefined;
}

function secondsIn(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d{1,12}(?:\.\d+)?$/.test(value) ? Number(value) : value;
  return typeof seconds === 'number' && !Number.isNaN(seconds) ? seconds : undefined;
}
