/** A process that moves the vault key and is killed at the step that its arguments name: PLACE STEP. */
import { AccountStore } from '../../../src/lib/accounts/store.ts';
import { resolvePaths } from '../../../src/lib/os/paths.ts';
import { openKeyring } from '../../../src/lib/vault/keyring/keyring.ts';
import { moveVaultKey } from '../../../src/lib/vault/move-key.ts';

const [, , place, step] = process.argv;

function reached(name: string): void {
  if (name === step) process.kill(process.pid, 'SIGKILL');
}

async function main(): Promise<void> {
  const paths = resolvePaths(process.env);
  const accounts = new AccountStore(paths);
  const { vault_key: record } = await accounts.read();
  const real = openKeyring(process.env);
  const deadlineMs = 10_000;
  await moveVaultKey({
    paths,
    env: process.env,
    deadlineMs,
    to: place === 'file' ? 'file' : 'keyring',
    record: record!,
    keyring: {
      ...real,
      remove: async (options) => {
        reached('before delete');
        return real.remove(options);
      },
    },
    saveRecord: async (vault_key) => {
      reached('before record');
      await accounts.update((file) => ({ ...file, vault_key }));
      reached('after record');
    },
  });
}

await main();
