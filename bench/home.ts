/**
 * A home with any number of accounts. They are written as cms writes them, but all at once and without waiting for the
 * disk: ten thousand sign-ins would take longer than everything that is measured with them.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OAuthAccount } from '../src/lib/accounts/account.ts';
import { type Context, openContext } from '../src/lib/context.ts';
import { prepareVault } from '../src/lib/enrol/store-account.ts';
import { Secret } from '../src/lib/core/secret.ts';
import type { GrantRecord } from '../src/lib/vault/grant.ts';
import type { KeyStore } from '../src/lib/vault/key-source.ts';
import { NONCE_BYTES, seal, type SealingKey } from '../src/lib/vault/seal.ts';
import { sealedName } from '../src/lib/vault/vault.ts';
import { bindingOf } from '../src/lib/tokens/rotation.ts';
import { type TemporaryHome, temporaryHome } from '../test/support/environment.ts';
import type { Environment } from '../test/support/processes.ts';

/** As long as Microsoft's; Google's have about 250. */
export const TOKEN_BYTES = 2000;
const REFRESH_TOKEN_BYTES = 1000;
/** Refused at once: nothing is refreshed there. */
const NOBODY = 'http://127.0.0.1:9/token';

export interface HomeOptions {
  accounts: number;
  store?: KeyStore;
  /** Where refresh tokens go. Default: a port that nobody listens on. */
  tokenEndpoint?: string;
  /** Trusted for the token endpoint. */
  caFile?: string;
  /** Of the access token, in milliseconds from now; by the account's index. Default: five days. */
  expiresIn?: (index: number) => number;
  /** Lifetime that it was issued with, in milliseconds. Default: `expiresIn`. */
  lifetime?: number;
  env?: Environment;
}

export interface Home extends AsyncDisposable {
  env: Environment;
  context: Context;
  socket: string;
  folders: string[];
  /** The first one. */
  address: string;
  accounts: readonly OAuthAccount[];
}

/** Bytes of the XOAUTH2 answer for an account of `makeHome`. */
export function answerBytes(address: string): number {
  return `user=${address}\x01auth=Bearer \x01\x01`.length + TOKEN_BYTES;
}

export async function makeHome(options: HomeOptions): Promise<Home> {
  const home: TemporaryHome = await temporaryHome();
  const env = { ...home.env, ...options.env };
  const context = openContext(env);
  await prepareVault(context, { store: options.store ?? 'file', interactive: false });
  const accounts = Array.from({ length: options.accounts }, (_, index) => accountNumber(index, options));
  const key = await context.vault.key();
  for (const [index, account] of accounts.entries()) writeGrant(context, key, grantOf(account, index, options));
  await context.accounts.update((file) => ({
    ...file,
    accounts: Object.fromEntries(accounts.map((each) => [each.address, each])),
  }));
  return {
    env,
    context,
    accounts,
    address: addressNumber(0),
    socket: join(home.runtimeDir, 'cms.sock'),
    folders: [home.configDir, home.stateDir],
    [Symbol.asyncDispose]: () => home.remove(),
  };
}

export function addressNumber(index: number): string {
  return `person${String(index).padStart(5, '0')}@example.org`;
}

function accountNumber(index: number, { tokenEndpoint = NOBODY, caFile }: HomeOptions): OAuthAccount {
  const address = addressNumber(index);
  const server = { port: 587, tls: 'starttls' as const };
  return {
    ...{ kind: 'oauth', address, provider: 'custom', login: address, smtp_user: address, imap_user: address },
    aliases: [],
    protocols: ['smtp', 'imap'],
    servers: {
      smtp: { host: 'smtp.example.org', ...server },
      imap: { host: 'imap.example.org', ...server, port: 143 },
    },
    created_at: '2026-01-01T00:00:00.000Z',
    client: {
      client_id: 'client',
      token_endpoint_auth_method: 'none',
      issuer: new URL(tokenEndpoint).origin,
      token_endpoint: tokenEndpoint,
      scope: 'openid email offline_access mail.smtp mail.imap',
      authorization_params: {},
      redirect: { host: '127.0.0.1', path: '/' },
      ...(caFile !== undefined && { ca_file: caFile }),
    },
  };
}

const FIVE_DAYS_MS = 5 * 24 * 3600 * 1000;

function grantOf(account: OAuthAccount, index: number, options: HomeOptions): GrantRecord {
  const expires_at = Date.now() + (options.expiresIn?.(index) ?? FIVE_DAYS_MS);
  return {
    address: account.address,
    grant_id: randomUUID(),
    state: 'active',
    signed_in_at: Date.now(),
    identity: account.address,
    issued_at: expires_at - (options.lifetime ?? FIVE_DAYS_MS),
    expires_at,
    secrets: {
      refresh_token: new Secret(letters(REFRESH_TOKEN_BYTES)),
      refresh_token_accepted: true,
      access_token: new Secret(letters(TOKEN_BYTES)),
      binding: bindingOf(account.client),
    },
  };
}

function letters(count: number): string {
  return randomBytes(count).toString('hex').slice(0, count);
}

function writeGrant({ paths }: Context, key: SealingKey, grant: GrantRecord): void {
  const file = join(paths.vaultDir, `${sealedName(grant.address)}.sealed`);
  writeFileSync(file, seal(grant, key, randomBytes(NONCE_BYTES)), { mode: 0o600 });
}
