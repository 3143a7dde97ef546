import { Flags } from '@oclif/core';
import { PROTOCOLS } from '../lib/accounts/account.ts';
import { LOG_LEVELS } from '../lib/core/log.ts';
import { LOG_FORMATS } from '../cli/fast/serve-arguments.ts';
import { serveMain } from '../cli/fast/serve.ts';
import { BaseCommand } from './base.ts';

/** The description of `cms serve` for help and completions. bin/run.js calls the same function without loading this. */
export default class Serve extends BaseCommand {
  static override readonly summary = 'run the broker in the foreground';
  static override readonly description =
    'Keeps the access tokens of all accounts fresh, and answers on its private socket, on the sockets of config.toml, and on one that flags describe. SIGHUP reloads accounts and settings; SIGTERM answers pending requests and ends the broker.';
  static override readonly examples = [
    '<%= config.bin %> serve',
    '<%= config.bin %> serve --socket /run/cms/jane/exim.sock --mode 0660 --group Debian-exim --protocol smtp',
    '<%= config.bin %> serve --log-format json --log-level debug',
  ];
  static override readonly usage =
    'serve [--socket PATH [--mode MODE] [--group NAME] [--protocol smtp|imap|pop]... [--account ADDRESS]... [--passwords] [--allow-user NAME]...] [--log-format pretty|json] [--log-level LEVEL]';
  static override readonly flags = {
    socket: Flags.string({ helpValue: 'PATH', description: 'an additional socket, on top of those in config.toml' }),
    mode: Flags.string({
      dependsOn: ['socket'],
      helpValue: 'MODE',
      description: 'file mode of the socket (default 0600)',
    }),
    group: Flags.string({ dependsOn: ['socket'], helpValue: 'NAME', description: 'group of the socket' }),
    protocol: Flags.option({
      options: PROTOCOLS,
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ['socket'],
      description: 'protocol that the socket provides tokens for',
    })(),
    account: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ['socket'],
      helpValue: 'ADDRESS',
      description: 'account that the socket serves (default: all)',
    }),
    passwords: Flags.boolean({ dependsOn: ['socket'], description: 'allow the socket to provide app passwords' }),
    'allow-user': Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ['socket'],
      helpValue: 'NAME',
      description: 'user who may use the socket, in addition to you and root',
    }),
    'log-format': Flags.option({
      options: LOG_FORMATS,
      default: 'pretty',
      description: 'format of the log: for people or for programs',
    })(),
    'log-level': Flags.option({ options: LOG_LEVELS, default: 'info', description: 'how much is logged' })(),
  };

  async run(): Promise<void> {
    process.exitCode = await serveMain(this.argv, process.env, this.config.version);
  }
}
