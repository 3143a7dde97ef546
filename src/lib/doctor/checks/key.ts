/** The vault key: from the keyring, a file or a credential, and the one that sealed the accounts. */
import type { Context } from '../../context.ts';
import { toCmsError } from '../../core/errors.ts';
import { openVaultKey, SOURCE_NAMES } from '../../vault/key-source.ts';
import type { VaultKeyRecord } from '../../vault/vault-key.ts';
import { failed, type Judgement, ok, skipped, warning } from '../check.ts';
import { KeyringError } from '../../vault/keyring/keyring-errors.ts';
import type { Step } from '../run-checks.ts';

export interface KeyLook {
  record: VaultKeyRecord | undefined;
  /** Keys of the checks of the files. */
  needs: readonly string[];
  brokerRuns: boolean;
  /** Of all accounts. */
  addresses: readonly string[];
}

/** Nothing is asked of a person: no dialog appears. */
export function keyStep({ paths, env }: Context, { record, needs, brokerRuns, addresses }: KeyLook): Step {
  return {
    id: 'key',
    subject: '',
    needs,
    // Twice the keyring's deadline, and the start of its helper on a busy machine.
    limitMs: 15_000,
    look: async (): Promise<Judgement> => {
      if (record === undefined) return skipped('there is none before the first account');
      try {
        const { source, id } = await openVaultKey({ paths, env, record, interactive: false });
        return ok(`from ${SOURCE_NAMES[source]}, id ${id}`);
      } catch (error) {
        const { code, message, suggestions, cause } = toCmsError(error);
        const isOutOfReach = code === 'store_locked' || (cause instanceof KeyringError && cause.kind === 'unavailable');
        // It had the key when it started, or it would serve nothing: its own state is judged elsewhere.
        if (!isOutOfReach || !brokerRuns) return forEach(addresses, failed(error));
        return warning(`${message}; the broker that runs may have the key already`, { fix: suggestions });
      }
    },
  };
}

/** What has to be done for every account is said for every account. */
function forEach(addresses: readonly string[], judgement: Judgement): Judgement {
  const { fix = [] } = judgement;
  const named = fix.flatMap((line) =>
    line.includes('ADDRESS') ? addresses.map((each) => line.replace('ADDRESS', each)) : [line],
  );
  return { ...judgement, fix: named };
}
