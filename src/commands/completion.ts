import { Args } from '@oclif/core';
import { completionFor, SHELLS } from '../cli/completion/completion.ts';
import { commandLineOf } from '../cli/oclif/catalogue.ts';
import { BaseCommand } from './base.ts';

export default class Completion extends BaseCommand {
  static override readonly summary = 'print a script that completes commands in your shell';
  static override readonly description =
    'For cms and cms-token: completes commands, flags, their values and the addresses of your accounts. The script reads the addresses from accounts.json when you press Tab, and does not start cms.';
  static override readonly examples = [
    {
      description: 'bash, in ~/.bashrc:',
      command: 'source <(<%= config.bin %> completion bash)',
    },
    {
      description: 'zsh, in ~/.zshrc, after compinit:',
      command: 'source <(<%= config.bin %> completion zsh)',
    },
    {
      description: 'fish, once:',
      command: '<%= config.bin %> completion fish > ~/.config/fish/completions/cms.fish',
    },
  ];
  static override readonly flags = {};
  static override readonly args = {
    shell: Args.string({ required: true, options: [...SHELLS], description: 'shell that will read the script' }),
  };

  async run(): Promise<void> {
    const { args } = await this.parse(Completion);
    const shell = SHELLS.find((each) => each === args.shell) ?? 'bash';
    process.stdout.write(completionFor(shell, commandLineOf(this.config)));
  }
}
