/**
 * The token library: the same accounts, vault and rules as the `cms` command, for Node programs.
 *
 * @example
 * const tokens = openTokenService();
 * const transport = nodemailer.createTransport({
 *   host: 'smtp.gmail.com', port: 465, secure: true,
 *   auth: { type: 'OAuth2', user: 'jane@gmail.com', accessToken: await tokens.accessToken('jane@gmail.com') },
 * });
 */
import { saslUser, type Account, type Protocol } from './lib/accounts/account.ts';
import { parseAddress } from './lib/accounts/address.ts';
import { openContext } from './lib/context.ts';
import { openTokens } from './lib/tokens/open.ts';
import type { Logger } from './lib/core/log.ts';
import type { Environment } from './lib/os/paths.ts';
import { oauthbearer, xoauth2 } from './lib/core/sasl.ts';
import { requireProtocol } from './lib/tokens/failures.ts';

export { CmsError, EXIT_STATUS, type ErrorCode } from './lib/core/errors.ts';
export { oauthbearer, xoauth2 };
export type { Logger, Protocol };

export interface OpenOptions {
  /** Where accounts and vault are; `process.env` by default. */
  env?: Environment;
  log?: Logger;
}

export interface AccessTokenRequest {
  /** Default smtp. */
  protocol?: Protocol;
  /** Seconds that the token must still live; default 600, at most half its issued lifetime. */
  minValiditySeconds?: number;
  forceRefresh?: boolean;
}

/** A token with everything else that a login needs. */
export interface Token {
  access_token: string;
  token_type: 'Bearer';
  /** Seconds since the epoch. */
  expires_at: number;
  /** SASL's user name. */
  user: string;
}

export interface TokenLibrary {
  /** The access token alone. @throws CmsError as `token` */
  accessToken: (address: string, request?: AccessTokenRequest) => Promise<string>;
  /**
   * A fresh token for the account, exchanged if need be: once, however many ask, in however many processes.
   * @throws CmsError `account_unknown`, `authorization_required`, `temporarily_unavailable`, `protocol_not_granted`,
   * `password_account`, `client_invalid`, `config_invalid`, `store_locked`, `store_unavailable`, `data_invalid`, `io_error`
   */
  token: (address: string, request?: AccessTokenRequest) => Promise<Token>;
}

/** Opens the accounts and the vault of this user. Nothing is read before the first request. */
export function openTokenService({ env = process.env, log }: OpenOptions = {}): TokenLibrary {
  const context = openContext(env, log === undefined ? {} : { log });
  const service = openTokens(context);
  const token = async (address: string, request: AccessTokenRequest = {}): Promise<Token> => {
    const { protocol = 'smtp', ...rest } = request;
    const account: Account = await context.accounts.resolve(parseAddress(address));
    if (account.kind === 'oauth') requireProtocol(account, protocol);
    const { access_token, token_type, expires_at } = await service.accessToken(account, rest);
    return {
      access_token: access_token.reveal(),
      token_type,
      expires_at: Math.floor(expires_at / 1000),
      user: saslUser(account, protocol),
    };
  };
  return { token, accessToken: async (address, request) => (await token(address, request)).access_token };
}
