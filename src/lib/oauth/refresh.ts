/** The refresh token grant (RFC 6749 section 6), its outcome as a value. */
import type { Exchange, ExchangeOutcome } from './exchange.ts';
import { CmsError } from '../errors.ts';
import { classifyTokenAnswer } from './classify.ts';
import { causeIn, NoAnswer, retryAfterSeconds } from './http.ts';

/**
 * Exchanges a refresh token. Never throws for what a provider or a network can do.
 * @throws CmsError `config_invalid` where certificates are not verified
 */
export const exchangeRefreshToken: Exchange = async (client, refreshToken, clientSecret): Promise<ExchangeOutcome> => {
  // Loaded here, not above: a process that serves a fresh token from the vault needs no OAuth client.
  const [{ refreshTokenGrant }, { configure }] = await Promise.all([import('openid-client'), import('./client.ts')]);
  const { config, observed } = configure(client, { clientSecret, takeIdToken: true });
  const parameters: Record<string, string> = client.refresh_scope === undefined ? {} : { scope: client.refresh_scope };
  try {
    await refreshTokenGrant(config, refreshToken.reveal(), parameters);
  } catch (error) {
    // What openid-client makes of a bad answer loses status and body; the answer itself is judged below.
    if (observed() === undefined) return temporary(error);
  }
  const answer = observed();
  if (answer === undefined) return temporary(new Error('no request was made'));
  const retry_after = retryAfterSeconds(answer.headers, Date.now());
  return classifyTokenAnswer(
    { status: answer.status, body: answer.body, ...(retry_after !== undefined && { retry_after }) },
    clientSecret === undefined ? [refreshToken] : [refreshToken, clientSecret],
  );
};

function temporary(error: unknown): ExchangeOutcome {
  const noAnswer = causeIn(error, NoAnswer);
  if (noAnswer === undefined) throw causeIn(error, CmsError) ?? error;
  return { kind: 'temporary', message: `cannot reach ${noAnswer.message}` };
}
