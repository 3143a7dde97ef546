import { Args } from '@oclif/core';
import { CmsError } from '../../lib/core/errors.ts';
import { runAsSystem } from '../../lib/service/as-system.ts';
import { BaseCommand } from '../base.ts';
import { programOf } from './install.ts';

/** Of `service` itself; under it they would mean the wrong broker. */
const NOT_HERE = ['serve', 'service'];

export default class ServiceRun extends BaseCommand {
  static override readonly summary = "run a cms command on the system's accounts";
  static override readonly description =
    'Runs as the user of the service that was installed with --system, with its directories and its vault key. Becomes root with sudo. All words after "run" are the command.';
  static override readonly examples = [
    '<%= config.bin %> service run account add jane@example.org',
    '<%= config.bin %> service run status',
    '<%= config.bin %> service run exim-config --install </dev/null >install.sh   # then: sudo sh install.sh',
  ];
  static override readonly usage = 'service run COMMAND [ARGUMENT...]';
  static override readonly args = { command: Args.string({ description: 'any command except serve and service' }) };
  static override readonly flags = {};
  static override readonly strict = false;

  /** The words belong to the other command: none of them is parsed here. */
  async run(): Promise<void> {
    const [command] = this.argv;
    if (command === undefined || NOT_HERE.includes(command) || command.startsWith('-')) {
      throw new CmsError('usage', 'which command should run on the accounts of the system?', {
        suggestions: ['cms service run account list'],
      });
    }
    process.exitCode = await runAsSystem(this.argv, programOf(this.config.root));
  }
}
