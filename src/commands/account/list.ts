import { accountView, readGrantView, readState } from '../../lib/accounts/view.ts';
import { openContext } from '../../lib/context.ts';
import { BaseCommand } from '../base.ts';
import { table } from '../../lib/terminal/table.ts';

export default class AccountList extends BaseCommand {
  static override readonly summary = 'list the accounts and their state';
  static override readonly description = 'Needs neither the vault key nor a network, and never shows a secret.';
  static override readonly examples = ['<%= config.bin %> account list', '<%= config.bin %> account list --json'];
  static override readonly flags = { json: BaseCommand.jsonFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(AccountList);
    const { accounts, vault } = openContext(process.env);
    const all = await accounts.list();
    if (flags.json) {
      this.printJson(all.map((account) => ({ ...accountView(account), ...readGrantView(vault, account) })));
      return;
    }
    if (all.length === 0) {
      this.say('no accounts yet; begin with: cms account add jane@example.org');
      return;
    }
    const rows = all.map((account) => {
      const { address, provider, protocols } = account;
      return [address, provider, protocols.join(','), readState(vault, account).state.replaceAll('_', ' ')];
    });
    process.stdout.write(table(['ADDRESS', 'PROVIDER', 'PROTOCOLS', 'STATE'], rows));
  }
}
