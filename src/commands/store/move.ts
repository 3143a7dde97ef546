import { Args } from '@oclif/core';
import { AccountStore } from '../../lib/accounts/store.ts';
import { CmsError } from '../../lib/core/errors.ts';
import { type Paths, resolvePaths } from '../../lib/os/paths.ts';
import { ensurePrivateFolder } from '../../lib/os/files/files.ts';
import { keyLockFile, type KeyStore, SOURCE_NAMES } from '../../lib/vault/key-source.ts';
import { acquireLock } from '../../lib/os/files/lock.ts';
import { moveVaultKey, type MoveResult } from '../../lib/vault/move-key.ts';
import { BaseCommand } from '../base.ts';

const PLACES: readonly KeyStore[] = ['keyring', 'file'];
const LOCK_TIMEOUT_MS = 10_000;

export default class StoreMove extends BaseCommand {
  static override summary = 'move the vault key, without signing in again';
  static override description =
    'The key that encrypts all accounts is in the keyring or in the file vault.key of the configuration directory. ' +
    'A key file is for hosts without a keyring: it protects the accounts from other users of the machine, but not ' +
    'in a copy of the home directory or in a backup. A running broker is not affected.';
  static override examples = [
    { description: 'On a server where no one unlocks a keyring:', command: '<%= config.bin %> store move file' },
    { description: 'Back into the keyring:', command: '<%= config.bin %> store move keyring' },
  ];
  static override args = {
    place: Args.string({ description: 'where to keep the key', options: [...PLACES], required: true }),
  };
  static override flags = { json: BaseCommand.jsonFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(StoreMove);
    const to = PLACES.find((place) => place === args.place) ?? 'keyring';
    const result = await move(resolvePaths(process.env), to, this.mayAsk);
    if (flags.json) this.printJson(result);
    else this.report(result);
  }

  private report({ from, to, left }: MoveResult): void {
    const verb = from === to ? 'is' : 'is now';
    process.stdout.write(`the vault key ${verb} in ${SOURCE_NAMES[to]}\n`);
    if (to === 'file') this.say('cms: note: a key file does not protect a copied home directory');
    if (left) this.say(`cms: note: a copy of the key stays in ${SOURCE_NAMES[left.source]}: ${left.reason}`);
  }
}

async function move(paths: Paths, to: KeyStore, interactive: boolean): Promise<MoveResult> {
  const accounts = new AccountStore(paths);
  await ensurePrivateFolder(paths.stateDir);
  await ensurePrivateFolder(paths.lockDir);
  await using lock = await acquireLock(keyLockFile(paths), LOCK_TIMEOUT_MS);
  const { vault_key: record } = await accounts.read();
  if (record === undefined) {
    throw new CmsError('store_unavailable', 'there is no vault key yet, because there is no account', {
      suggestions: [`cms account add ADDRESS --store ${to}`],
    });
  }
  return await moveVaultKey({
    paths,
    env: process.env,
    to,
    record,
    interactive,
    lockFd: lock.fd,
    saveRecord: async (vault_key) => {
      await accounts.update((file) => ({ ...file, vault_key }));
    },
  });
}
