import { Args, Flags } from '@oclif/core';
import { parseAddress } from '../../lib/accounts/address.ts';
import { accountUnknown } from '../../lib/accounts/store.ts';
import { notifyBroker } from '../../lib/broker/client.ts';
import { brokerSocket } from '../../lib/broker/find.ts';
import { openContext } from '../../lib/context.ts';
import { removeAccount } from '../../lib/enrol/store-account.ts';
import { CmsError } from '../../lib/core/errors.ts';
import { staleRemark } from '../../lib/exim/install/installed.ts';
import { BaseCommand } from '../base.ts';

export default class AccountRemove extends BaseCommand {
  static override readonly summary = 'revoke the grant and delete the account';
  static override readonly description =
    'Revokes the grant at the provider if the provider supports that, then deletes the account here. This may sign out other machines that use the same client; --keep-grant does not revoke the grant.';
  static override readonly examples = [
    '<%= config.bin %> account remove jane@example.org',
    '<%= config.bin %> account remove jane@example.org --keep-grant --yes',
  ];
  static override readonly args = { address: Args.string({ required: true, description: 'the account' }) };
  static override readonly flags = {
    'keep-grant': Flags.boolean({ description: 'delete the grant only here; do not revoke it at the provider' }),
    yes: Flags.boolean({ char: 'y', description: 'do not ask' }),
    json: BaseCommand.jsonFlag,
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(AccountRemove);
    const address = parseAddress(args.address);
    const context = openContext(process.env, { interactive: this.mayAsk });
    const { accounts } = await context.accounts.read();
    // The key itself: a user who names an alias may not know what else would be deleted.
    const account = accounts[address];
    if (account === undefined) throw accountUnknown(address, Object.keys(accounts));
    if (!flags.yes) await this.confirmed(address, flags['keep-grant']);
    const revocation = await removeAccount(context, account, flags['keep-grant']);
    await notifyBroker(brokerSocket(context.paths));
    if (flags.json) {
      this.printJson({ address, removed: true, revocation });
      return;
    }
    this.say(`removed ${address}${REMARKS[typeof revocation === 'string' ? revocation : 'failed']}`);
    if (typeof revocation !== 'string') this.say(`note: the grant was not revoked: ${revocation.failed}`);
    const stale = await staleRemark(context.paths, await context.accounts.list());
    if (stale !== undefined) this.say(stale);
  }

  private async confirmed(address: string, keepGrant: boolean): Promise<void> {
    if (!this.mayAsk) {
      throw new CmsError('usage', `removing ${address} needs a yes`, {
        suggestions: [this.withYes],
      });
    }
    const question = keepGrant
      ? `Remove ${address} from this machine?`
      : `Remove ${address} and revoke its grant? Other machines with the same client may be signed out.`;
    if (!(await this.asked(question, false))) throw new CmsError('usage', 'nothing was removed');
  }
}

const REMARKS = {
  revoked: ' and revoked its grant',
  kept: '',
  unsupported: '; this provider cannot revoke from here: see its account settings',
  failed: '; revoke it in the account settings of the provider',
};
