/** Putting accounts into the stores, and taking them out. The grant is written first: an account always has one. */
import { randomUUID } from 'node:crypto';
import { type Account, caFileOf, type OAuthAccount, withAuthority } from '../accounts/account.ts';
import type { Context } from '../context.ts';
import { CmsError } from '../core/errors.ts';
import type { SignedIn } from '../oauth/sign-in/sign-in.ts';
import { unregisterClient } from '../oauth/client/register.ts';
import { revokeRefreshToken, type Revocation } from '../oauth/token/revoke.ts';
import type { Secret } from '../core/secret.ts';
import { ensurePrivateFolder } from '../os/files/files.ts';
import type { GrantFailure, GrantRecord } from '../vault/grant.ts';
import { createVaultKey, keyLockFile, type KeyStore } from '../vault/key-source.ts';
import { GIVE_UP_KEY } from '../vault/keyring/keyring-errors.ts';
import { acquireLock } from '../os/files/lock.ts';
import type { Vault } from '../vault/vault.ts';
import { livesAfter } from '../tokens/forecast.ts';
import { bindingOf, isRevocableAt } from '../tokens/rotation.ts';
import { retryAfterClientError } from '../tokens/schedule.ts';
import { refuseTakenAliases } from './plan.ts';

/** Longer than an exchange that another process may be in the middle of. */
const LOCK_TIMEOUT_MS = 45_000;
const KEY_LOCK_TIMEOUT_MS = 130_000;

export interface KeyWishes {
  store?: KeyStore | undefined;
  ask?: (() => Promise<KeyStore>) | undefined;
  interactive: boolean;
}

/**
 * Makes sure, before anybody signs in, that there is a vault key and that the vault can be written to.
 * @throws CmsError `store_locked`, `store_unavailable`, `config_invalid`, `io_error`
 */
export async function prepareVault({ accounts, vault, paths, env }: Context, wishes: KeyWishes): Promise<void> {
  if (await needsKey({ accounts, vault }, wishes)) {
    for (const folder of [paths.configDir, paths.stateDir, paths.lockDir]) await ensurePrivateFolder(folder);
    await using lock = await acquireLock(keyLockFile(paths), KEY_LOCK_TIMEOUT_MS);
    if (await needsKey({ accounts, vault }, wishes)) {
      const { id, source } = await createVaultKey({ paths, env, ...wishes, lockFd: lock.fd });
      await accounts.update((file) => ({ ...file, vault_key: { id, source } }));
    }
  }
  // The key may have been looked for, and missed, before there was this one.
  vault.forgetFailure();
  await vault.probe();
}

/**
 * There is none yet; or it is lost, and the user says with `--store` where to keep the next one.
 * @throws CmsError `store_unavailable` for a lost one that has not been given up, and as `vault.key`
 */
export async function needsKey(
  { accounts, vault }: Pick<Context, 'accounts' | 'vault'>,
  wishes: KeyWishes,
): Promise<boolean> {
  if ((await accounts.read()).vault_key === undefined) return true;
  try {
    await vault.key();
    return false;
  } catch (error) {
    if (!(error instanceof CmsError) || error.code !== 'store_unavailable') throw error;
    if (wishes.store !== undefined) return true;
    throw new CmsError(error.code, error.message, {
      suggestions: [...new Set([...error.suggestions, GIVE_UP_KEY])],
      cause: error,
    });
  }
}

/** What belongs to the client and not to the sign-in. */
export interface ClientSecrets {
  clientSecret?: Secret | undefined;
  /** Of a client that registered itself. */
  registrationAccessToken?: Secret | undefined;
}

/**
 * Stores a finished sign-in, and the account with it. An older grant is replaced, never revoked.
 * @throws CmsError `config_invalid` (an alias of another account), and as the stores throw
 */
export async function storeSignIn(
  context: Context,
  account: OAuthAccount,
  signedIn: SignedIn,
  { clientSecret, registrationAccessToken }: ClientSecrets = {},
): Promise<void> {
  const { access_token, refresh_token, scope, identity, username, issued_at, expires_in, defect } = signedIn;
  const { refresh_token_expires_in: lifetime } = signedIn;
  await storeAccount(context, account, {
    issued_at,
    expires_at: issued_at + expires_in * 1000,
    ...(defect !== undefined && { failure: unusable(defect, issued_at) }),
    ...(identity !== undefined && { identity }),
    ...(username !== undefined && { username }),
    ...(lifetime !== undefined && { refresh_token_expires_at: issued_at + lifetime * 1000 }),
    secrets: {
      refresh_token,
      refresh_token_accepted: false,
      access_token,
      binding: bindingOf(account.client),
      ...(scope !== undefined && { scope }),
      ...(clientSecret !== undefined && { client_secret: clientSecret }),
      ...(registrationAccessToken !== undefined && { registration_access_token: registrationAccessToken }),
    },
  });
}

/** As after a refresh: the grant is good, and what was issued with it is not served. */
function unusable(message: string, at: number): GrantFailure {
  return { code: 'protocol_error', message, at, since: at, retry_at: retryAfterClientError(at), count: 1 };
}

/** Stores an account that logs in with an app password. @throws CmsError as `storeSignIn` */
export function storePassword(context: Context, account: Account, password: Secret): Promise<void> {
  return storeAccount(context, account, { secrets: { password } });
}

type NewGrant = Pick<
  GrantRecord,
  'issued_at' | 'expires_at' | 'failure' | 'identity' | 'username' | 'refresh_token_expires_at' | 'secrets'
>;

async function storeAccount({ accounts, vault }: Context, account: Account, grant: NewGrant): Promise<void> {
  await using _lock = await vault.lock(account.address, LOCK_TIMEOUT_MS);
  const { accounts: known } = await accounts.read();
  const now = Date.now();
  const lives = livesSoFar(vault, account, known[account.address], now);
  // A new id: an exchange that began before this sign-in finds it changed and stores nothing.
  const id = randomUUID();
  const write = (): Promise<void> =>
    vault.write({
      address: account.address,
      grant_id: id,
      state: 'active',
      signed_in_at: now,
      ...(lives.length > 0 && { sign_in_lives: lives }),
      ...grant,
    });
  await accounts.store(account, { id, write, undo: vault.snapshot(account.address) }, (others) =>
    refuseTakenAliases(account, others),
  );
}

/** How long sign-ins last is a matter of who signs in where, with which client: for others it is forgotten. */
function livesSoFar(vault: Vault, account: Account, before: Account | undefined, now: number): number[] {
  if (account.kind === 'password' || before?.kind !== 'oauth' || account.login !== before.login) return [];
  const sameClient =
    account.client.client_id === before.client.client_id &&
    account.client.token_endpoint === before.client.token_endpoint;
  try {
    const header = sameClient ? vault.readHeader(account.address) : undefined;
    return header === undefined ? [] : livesAfter(header, now);
  } catch {
    // What cannot be read is about to be replaced: a forecast is no reason to refuse a sign-in.
    return [];
  }
}

/** Keeps what the logins have shown: names and authority; nothing comes back of an account that was removed meanwhile. */
export async function keepProven({ accounts }: Context, proven: Account): Promise<void> {
  const { address, smtp_user, imap_user } = proven;
  const caFile = caFileOf(proven);
  await accounts.update((file) => {
    const stored = file.accounts[address];
    if (stored === undefined) return file;
    const kept = { ...(caFile === undefined ? stored : withAuthority(stored, caFile)), smtp_user, imap_user };
    return { ...file, accounts: { ...file.accounts, [address]: kept } };
  });
}

/**
 * Takes an account out, after revoking its grant where the provider can and `keepGrant` does not forbid it.
 * A vault that cannot be opened keeps nothing from being removed: the grant then is only not revoked.
 * @throws CmsError as the stores throw
 */
export async function removeAccount(
  context: Context,
  account: Account,
  keepGrant: boolean,
): Promise<Revocation | 'kept'> {
  const { accounts, vault } = context;
  await using _lock = await vault.lock(account.address, LOCK_TIMEOUT_MS);
  const revocation = keepGrant || account.kind === 'password' ? 'kept' : await revoke(context, account);
  if (!keepGrant && account.kind === 'oauth') await unregister(context, account);
  await vault.remove(account.address);
  await accounts.update((file) => {
    const { [account.address]: _removed, ...others } = file.accounts;
    return { ...file, accounts: others };
  });
  return revocation;
}

/** A client that registered itself for this account goes with it, where the server can be asked. */
async function unregister({ vault }: Context, { address, client }: OAuthAccount): Promise<void> {
  if (client.registration_client_uri === undefined) return;
  const record = await vault.read(address).catch(() => undefined);
  await unregisterClient(client, record?.secrets.registration_access_token);
}

async function revoke({ vault }: Context, account: OAuthAccount): Promise<Revocation> {
  if (account.client.revocation_endpoint === undefined) return 'unsupported';
  try {
    const { secrets } = (await vault.read(account.address)) ?? {};
    if (secrets?.refresh_token === undefined) return 'unsupported';
    if (!isRevocableAt(secrets, account.client)) return { failed: 'its settings changed since it signed in' };
    const { refresh_token, client_secret } = secrets;
    return await revokeRefreshToken(account.client, refresh_token, client_secret);
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}
