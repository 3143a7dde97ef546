import { Args, Flags } from '@oclif/core';
import { tokenMain } from '../token-main.ts';
import { BaseCommand } from './base.ts';

/**
 * The description of `cms token` for help and completions. bin/run.js calls the same function without loading this.
 */
export default class Token extends BaseCommand {
  static override readonly summary = 'print a fresh access token, or a SASL string';
  static override readonly description =
    'Asks the broker if one runs; else refreshes by itself, under the lock of the account. Never asks anything. On success the token is all there is on stdout, and stderr is empty. The script cms-token takes ADDRESS, --protocol and -o, and prints the same in a tenth of the time where a broker runs.';
  static override readonly examples = [
    '<%= config.bin %> token jane@example.org',
    '<%= config.bin %> token jane@example.org --protocol imap --output xoauth2-b64 --no-newline',
    '<%= config.bin %> token jane@example.org -o json',
  ];
  static override readonly usage =
    'token ADDRESS [-o OUTPUT | --json] [--protocol smtp|imap|pop] [--min-validity SECONDS] [--force-refresh] [--no-newline] [--host HOST] [--port PORT]';
  static override readonly args = {
    address: Args.string({ required: true, description: 'the account, or an alias of it' }),
  };
  static override readonly flags = {
    output: Flags.string({
      char: 'o',
      default: 'token',
      options: ['token', 'xoauth2', 'xoauth2-b64', 'oauthbearer', 'oauthbearer-b64', 'json', 'password'],
      description: 'what to print',
    }),
    protocol: Flags.string({ default: 'smtp', options: ['smtp', 'imap', 'pop'], description: 'what the token is for' }),
    'min-validity': Flags.integer({
      helpValue: 'SECONDS',
      description: 'how long the token must still live (default 600)',
    }),
    'no-newline': Flags.boolean({ description: 'no newline after the token' }),
    'force-refresh': Flags.boolean({ description: 'a new token even if the old one is fresh' }),
    host: Flags.string({ helpValue: 'HOST', description: 'host of the mail server, for oauthbearer' }),
    port: Flags.integer({ helpValue: 'PORT', description: 'port of the mail server, for oauthbearer' }),
    json: Flags.boolean({ description: 'the same as --output json' }),
  };

  async run(): Promise<void> {
    process.exitCode = await tokenMain(this.argv, process.env);
  }
}
