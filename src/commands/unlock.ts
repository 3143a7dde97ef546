import { AccountStore } from '../lib/accounts/store.ts';
import { ask, parseAnswer } from '../lib/broker/client.ts';
import { brokerSocket } from '../lib/broker/find.ts';
import { messageOf } from '../lib/core/errors.ts';
import { resolvePaths } from '../lib/os/paths.ts';
import { openVaultKey, SOURCE_NAMES } from '../lib/vault/key-source.ts';
import { keyringFailure } from '../lib/vault/keyring/keyring-errors.ts';
import { openKeyring } from '../lib/vault/keyring/keyring.ts';
import { BaseCommand } from './base.ts';

export default class Unlock extends BaseCommand {
  static override summary = 'unlock the keyring and tell the broker';
  static override description =
    'Asks the keyring for the vault key, which may open a dialog on the desktop, and waits up to two minutes ' +
    'for an answer. On a host without a desktop, run gnome-keyring-daemon --replace --unlock or cms store move file.';
  static override examples = ['<%= config.bin %> unlock'];
  static override flags = { json: BaseCommand.jsonFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(Unlock);
    const source = await unlock();
    const broker = await this.notifyBroker();
    if (flags.json) {
      this.printJson({ unlocked: true, source: source ?? null, broker });
      return;
    }
    process.stdout.write(`${sentence(source)}\n`);
    if (broker) this.say('cms: the broker has been told');
  }

  /** Whether a broker runs and has taken the key. Its trouble does not undo the unlocking. */
  private async notifyBroker(): Promise<boolean> {
    const privateSocket = brokerSocket(resolvePaths(process.env));
    try {
      const answer = await ask(privateSocket, { kind: 'reload' });
      if (answer === undefined) return false;
      parseAnswer(answer, privateSocket);
      return true;
    } catch (error) {
      this.say(`cms: warning: the broker could not be told: ${messageOf(error)}`);
      return false;
    }
  }
}

type Source = Awaited<ReturnType<typeof openVaultKey>>['source'];

/** @returns where the key was found; undefined when there is none yet and only the keyring was unlocked */
async function unlock(): Promise<Source | undefined> {
  const paths = resolvePaths(process.env);
  const { vault_key: record } = await new AccountStore(paths).read();
  if (record !== undefined) {
    return (await openVaultKey({ paths, env: process.env, record, interactive: true })).source;
  }
  try {
    await openKeyring(process.env).probe({ interactive: true });
  } catch (error) {
    throw keyringFailure(error);
  }
  return undefined;
}

function sentence(source: Source | undefined): string {
  if (source === undefined) return 'the keyring is unlocked; there is no account yet';
  if (source === 'keyring') return 'the keyring is unlocked and has the vault key';
  return `the vault key is in ${SOURCE_NAMES[source]} and can be read; the keyring is not needed`;
}
