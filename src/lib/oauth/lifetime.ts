/** RFC 6749 section 5.1 leaves a missing `expires_in` to the provider's documents; an hour is what most of them use. */
const DEFAULT_LIFETIME_SECONDS = 3600;
const MAX_LIFETIME_SECONDS = 7 * 24 * 3600;

/** `expires_in` of a token response in seconds, clamped to 0 … 7 days; text of digits is taken, nonsense is an hour. */
export function lifetimeSeconds(expiresIn: unknown): number {
  const seconds =
    typeof expiresIn === 'string' && /^\d{1,12}(?:\.\d+)?$/.test(expiresIn) ? Number(expiresIn) : expiresIn;
  if (typeof seconds !== 'number' || Number.isNaN(seconds)) return DEFAULT_LIFETIME_SECONDS;
  return Math.min(Math.max(seconds, 0), MAX_LIFETIME_SECONDS);
}
