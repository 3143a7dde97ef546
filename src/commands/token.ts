import { Args, Flags } from '@oclif/core';
import { tokenMain } from '../cli/fast/token.ts';
import { BaseCommand } from './base.ts';

/**
 * The description of `cms token` for help and completions. bin/run.js calls the same function without loading this.
 */
export default class Token extends BaseCommand {
  static override readonly summary = 'print a fresh access token, or a SASL string';
  static override readonly description =
    'Asks the broker if one runs; otherwise refreshes the token itself, under the lock of the account. Never prompts. On success stdout holds the token only, and stderr is empty. The script cms-token takes ADDRESS, --protocol and -o, and prints the same in a tenth of the time while a broker runs.';
  static override readonly examples = [
    '<%= config.bin %> token jane@example.org',
    '<%= config.bin %> token jane@example.org --protocol imap --output xoauth2-b64 --no-newline',
    '<%= config.bin %> token jane@example.org -o json',
  ];
  static override readonly usage =
    'token ADDRESS [-o OUTPUT | --json] [--protocol smtp|imap|pop] [--min-validity SECONDS] [--force-refresh] [--no-newline] [--host HOST] [--port PORT]';
  static override readonly args = {
    address: Args.string({ required: true, description: 'the account or one of its aliases' }),
  };
  static override readonly flags = {
    output: Flags.string({
      char: 'o',
      default: 'token',
      options: ['token', 'xoauth2', 'xoauth2-b64', 'oauthbearer', 'oauthbearer-b64', 'json', 'password'],
      description: 'what to print',
    }),
    protocol: Flags.string({
      default: 'smtp',
      options: ['smtp', 'imap', 'pop'],
      description: 'protocol to use the token for',
    }),
    'min-validity': Flags.integer({
      helpValue: 'SECONDS',
      description: 'time for which the token must still be valid (default 600)',
    }),
    'no-newline': Flags.boolean({ description: 'no newline after the token' }),
    'force-refresh': Flags.boolean({ description: 'get a new token even if the current one is fresh' }),
    host: Flags.string({ helpValue: 'HOST', description: 'host of the mail server, for oauthbearer' }),
    port: Flags.integer({ helpValue: 'PORT', description: 'port of the mail server, for oauthbearer' }),
    json: Flags.boolean({ description: 'the same as --output json' }),
  };

  async run(): Promise<void> {
    process.exitCode = await tokenMain(this.argv, process.env);
  }
}
