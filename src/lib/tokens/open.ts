/** The token service with its real parts. */
import type { Logger } from '../core/log.ts';
import { exchangeRefreshToken } from '../oauth/token/refresh.ts';
import type { Vault } from '../vault/vault.ts';
import { TokenService, type TokenServiceOptions } from './service.ts';

/** @param more for a process that stays: see TokenServiceOptions */
export function openTokens(
  { vault, log }: { vault: Vault; log: Logger },
  more: Pick<TokenServiceOptions, 'resident' | 'changed'> = {},
): TokenService {
  return new TokenService({ vault, exchange: exchangeRefreshToken, log, now: Date.now, random: Math.random, ...more });
}
