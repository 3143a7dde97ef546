/** What `cms serve` is asked for. Pure. */
import { parseArgs } from 'node:util';
import { oneOf, parsed, usage } from './arguments.ts';
import { PROTOCOLS } from '../../lib/accounts/account.ts';
import { parseAddress } from '../../lib/accounts/address.ts';
import { CmsError } from '../../lib/core/errors.ts';
import { LOG_LEVELS, type LogLevel } from '../../lib/core/log.ts';
import { checkSocketPath } from '../../lib/os/paths.ts';
import { parseMode, type SocketSettings } from '../../lib/config/settings.ts';

export const LOG_FORMATS = ['pretty', 'json'] as const;

export interface ServeArguments {
  logFormat: (typeof LOG_FORMATS)[number];
  logLevel: LogLevel;
  /** In addition to the private socket and those of config.toml. */
  socket?: SocketSettings;
}

/** @throws CmsError `usage`, `data_invalid` (an address), `config_invalid` (the path of a socket) */
export function parseServeArguments(argv: readonly string[]): ServeArguments {
  const { values, positionals } = parse(argv);
  if (positionals[0] !== undefined) throw usage('serve', `unexpected argument: ${positionals[0]}`);
  const { 'log-format': format = 'pretty', 'log-level': level = 'info', ...flags } = values;
  const socket = socketFrom(flags);
  return {
    logFormat: oneOf('serve', '--log-format', format, LOG_FORMATS),
    logLevel: oneOf('serve', '--log-level', level, LOG_LEVELS),
    ...(socket && { socket }),
  };
}

function parse(argv: readonly string[]) {
  return parsed('serve', () =>
    parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        socket: { type: 'string' },
        mode: { type: 'string' },
        group: { type: 'string' },
        protocol: { type: 'string', multiple: true },
        account: { type: 'string', multiple: true },
        passwords: { type: 'boolean' },
        'allow-user': { type: 'string', multiple: true },
        'log-format': { type: 'string' },
        'log-level': { type: 'string' },
      },
    }),
  );
}

type SocketFlags = Omit<ReturnType<typeof parse>['values'], 'log-format' | 'log-level'>;

function socketFrom({ socket, ...rules }: SocketFlags): SocketSettings | undefined {
  const [orphan] = Object.keys(rules);
  if (socket === undefined) {
    if (orphan === undefined) return undefined;
    throw usage('serve', `--${orphan} belongs to a socket: give --socket as well`);
  }
  const { group, protocol, account, 'allow-user': users } = rules;
  return {
    path: checkSocketPath(socket),
    mode: parseMode(rules.mode, (why) => new CmsError('usage', `--mode: ${why}`)),
    passwords: rules.passwords ?? false,
    ...(group !== undefined && { group }),
    ...(protocol && { protocols: protocol.map((each) => oneOf('serve', '--protocol', each, PROTOCOLS)) }),
    ...(account && { accounts: account.map((each) => parseAddress(each)) }),
    ...(users && { users }),
  };
}
