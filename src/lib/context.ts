/** The composition root of the library: what a command or an embedding program works with. */
import { AccountStore } from './accounts/store.ts';
import { CmsError } from './core/errors.ts';
import { type Logger, silentLogger } from './core/log.ts';
import { type Environment, type Paths, resolvePaths } from './os/paths.ts';
import { openVaultKey } from './vault/key-source.ts';
import { Vault } from './vault/vault.ts';

export interface Context {
  env: Environment;
  paths: Paths;
  accounts: AccountStore;
  vault: Vault;
  log: Logger;
}

export interface ContextOptions {
  log?: Logger;
  /** Whether the keyring may ask the person at the desktop to unlock it. */
  interactive?: boolean;
}

/** Nothing is read or opened until it is used. @throws CmsError `config_invalid` for an unusable environment */
export function openContext(
  env: Environment,
  { log = silentLogger, interactive = false }: ContextOptions = {},
): Context {
  const paths = resolvePaths(env);
  const accounts = new AccountStore(paths);
  const vault = new Vault(paths, async () => {
    const { vault_key: record } = await accounts.read();
    if (record === undefined) {
      throw new CmsError('store_unavailable', 'there is no vault key yet', {
        suggestions: ['cms account add ADDRESS'],
      });
    }
    return openVaultKey({ paths, env, record, interactive });
  });
  return { env, paths, accounts, vault, log };
}
