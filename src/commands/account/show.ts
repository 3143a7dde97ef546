import { Args } from '@oclif/core';
import { parseAddress } from '../../lib/accounts/address.ts';
import { accountView, readGrantView } from '../../lib/accounts/view.ts';
import { openContext } from '../../lib/context.ts';
import { BaseCommand } from '../base.ts';

export default class AccountShow extends BaseCommand {
  static override readonly summary = 'show an account without its secrets';
  static override readonly examples = ['<%= config.bin %> account show jane@example.org'];
  static override readonly args = {
    address: Args.string({ required: true, description: 'the account or one of its aliases' }),
  };
  static override readonly flags = { json: BaseCommand.jsonFlag };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(AccountShow);
    const { accounts, vault } = openContext(process.env);
    const account = await accounts.resolve(parseAddress(args.address));
    const view = { ...accountView(account), ...readGrantView(vault, account) };
    if (flags.json) {
      this.printJson(view);
      return;
    }
    for (const [name, value] of Object.entries(view))
      process.stdout.write(`${`${name.replaceAll('_', ' ')}:`.padEnd(26)}${shown(value)}\n`);
  }
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? '-' : value.join(', ');
  if (typeof value !== 'object' || value === null) return String(value);
  const servers = Object.entries(value as Record<string, { host: string; port: number; tls: string }>);
  return servers.length === 0
    ? '-'
    : servers.map(([name, { host, port, tls }]) => `${name} ${host}:${port} (${tls})`).join(', ');
}
