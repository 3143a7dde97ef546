import { Flags } from '@oclif/core';
import { url as inspectorUrl } from 'node:inspector';
import { type Protocol, PROTOCOLS } from '../lib/accounts/account.ts';
import { parseAddress } from '../lib/accounts/address.ts';
import { takeActivatedSockets } from '../lib/broker/activation.ts';
import { Daemon } from '../lib/broker/daemon.ts';
import { takeServiceManager } from '../lib/broker/service-manager.ts';
import { openContext, openTokens } from '../lib/context.ts';
import { CmsError, messageOf } from '../lib/errors.ts';
import { LOG_LEVELS } from '../lib/log.ts';
import { prepareExchange } from '../lib/oauth/refresh.ts';
import { checkSocketPath } from '../lib/paths.ts';
import { createLogger } from '../lib/pretty-log.ts';
import { parseMode, type SocketSettings } from '../lib/settings.ts';
import { BaseCommand } from '../commands/base.ts';

export default class Serve extends BaseCommand {
  static override readonly summary = 'run the broker in the foreground';
  static override readonly description =
    'Keeps the access tokens of all accounts fresh and answers on its private socket, on the sockets of config.toml, and on one more given by flags. SIGHUP reads accounts and settings anew; SIGTERM answers what was asked and ends.';
  static override readonly examples = [
    '<%= config.bin %> serve',
    '<%= config.bin %> serve --socket /run/cms/jane/exim.sock --mode 0660 --group Debian-exim --protocol smtp',
    '<%= config.bin %> serve --log-format json --log-level debug',
  ];
  static override readonly flags = {
    socket: Flags.string({ helpValue: 'PATH', description: 'a further socket; the flags below belong to it' }),
    mode: Flags.string({ dependsOn: ['socket'], description: 'its file mode (default 0600)' }),
    group: Flags.string({ dependsOn: ['socket'], helpValue: 'NAME', description: 'its group' }),
    protocol: Flags.option({
      options: PROTOCOLS,
      multiple: true,
      dependsOn: ['socket'],
      description: 'what it hands out tokens for',
    })(),
    account: Flags.string({
      multiple: true,
      dependsOn: ['socket'],
      helpValue: 'ADDRESS',
      description: 'the accounts that it serves',
    }),
    passwords: Flags.boolean({ dependsOn: ['socket'], description: 'it may hand out app passwords' }),
    'allow-user': Flags.string({
      multiple: true,
      dependsOn: ['socket'],
      helpValue: 'NAME',
      description: 'who may ask there, besides you and root',
    }),
    'log-format': Flags.option({
      options: ['pretty', 'json'] as const,
      default: 'pretty',
      description: 'lines for people or for programs',
    })(),
    'log-level': Flags.option({ options: LOG_LEVELS, default: 'info', description: 'how much of it' })(),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Serve);
    refuseInspector();
    const log = createLogger({
      format: flags['log-format'],
      level: flags['log-level'],
      write: (text) => process.stderr.write(text),
    });
    const activated = takeActivatedSockets(process.env, process.pid);
    const manager = takeServiceManager(process.env, process.pid);
    const context = openContext(process.env, { log });
    const sockets = flags.socket === undefined ? [] : [socketFrom({ ...flags, socket: flags.socket })];
    const asked = ended();
    const starting = Daemon.start({
      ...context,
      openTokens: (options) => openTokens(context, options),
      sockets,
      version: this.config.version,
      activated,
      manager,
    });
    // Before anybody can know that the broker is there: a SIGHUP without a listener would end it.
    process.on('SIGHUP', () => {
      starting
        .then((daemon) => daemon.reload())
        .catch((error: unknown) => {
          log.error('not reloaded; everything stays as it was', { reason: messageOf(error) });
        });
    });
    const [daemon] = await Promise.all([starting, prepareExchange()]);
    await asked;
    log.info('ending');
    await daemon.stop();
  }
}

/** Whoever reaches an open debugger reads every token. */
function refuseInspector(): void {
  if (inspectorUrl() === undefined) return;
  throw new CmsError('config_invalid', 'the broker does not run with a debugger open', {
    suggestions: ['take --inspect out of NODE_OPTIONS and of the command line'],
  });
}

interface SocketFlags {
  socket: string;
  mode?: string | undefined;
  group?: string | undefined;
  protocol?: Protocol[] | undefined;
  account?: string[] | undefined;
  passwords: boolean;
  'allow-user'?: string[] | undefined;
}

function socketFrom(flags: SocketFlags): SocketSettings {
  const { group, protocol, account, passwords } = flags;
  const users = flags['allow-user'];
  return {
    path: checkSocketPath(flags.socket),
    mode: parseMode(flags.mode, (why) => new CmsError('usage', `--mode: ${why}`)),
    passwords,
    ...(group !== undefined && { group }),
    ...(protocol && { protocols: protocol }),
    ...(account && { accounts: account.map((each) => parseAddress(each)) }),
    ...(users && { users }),
  };
}

/** Resolves at the first request to end; the second one ends at once. */
function ended(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const end = (): void => {
      if (asked) process.kill(process.pid, 'SIGKILL');
      asked = true;
      resolve();
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
  });
}
