/** The `[[socket]]` of config.toml through which exim reaches the broker. */
import { parse } from 'smol-toml';
import { CmsError, messageOf } from '../../core/errors.ts';
import { MTA_GROUP } from '../render/options.ts';

export interface EximSocket {
  path: string;
  /** Whether app passwords are to be handed out there too. */
  passwords: boolean;
}

export interface SocketChange {
  /** To be put at the end of the file; absent when the socket stands there already. */
  addition?: string;
  /** What a person has to change, because cms only adds. */
  remark?: string;
}

/**
 * What has to be done to `text` so that the broker opens `socket`. Nothing that stands there is touched.
 * @throws CmsError `config_invalid` when the file cannot be read, or has its sockets in a form that cannot be added to
 */
export function socketChange(text: string, socket: EximSocket): SocketChange {
  const there = socketsOf(text).find(({ path }) => path === socket.path);
  if (there !== undefined) {
    if (!socket.passwords || there.passwords === true) return {};
    return { remark: `app passwords need "passwords = true" in the [[socket]] of ${socket.path} in config.toml` };
  }
  const addition = `${text === '' || text.endsWith('\n') ? '' : '\n'}${text === '' ? '' : '\n'}${socketTable(socket)}`;
  // An inline `socket = […]` cannot be continued by a table; the parser says so.
  socketsOf(text + addition);
  return { addition };
}

/** The folder hands its group on to the socket; the broker checks that, and who else asks is stopped by the mode. */
function socketTable({ path, passwords }: EximSocket): string {
  return [
    '# exim asks here (cms exim-config --install)',
    '[[socket]]',
    socketLine(path),
    'mode = "0660"',
    `group = "${MTA_GROUP}"`,
    'protocols = ["smtp"]',
    ...(passwords ? ['passwords = true'] : []),
    '',
  ].join('\n');
}

/** The line by which the table is known again. */
export function socketLine(path: string): string {
  return `path = "${path}"`;
}

function socketsOf(text: string): { path?: unknown; passwords?: unknown }[] {
  let data: Record<string, unknown>;
  try {
    data = parse(text);
  } catch (error) {
    throw new CmsError('config_invalid', `cannot add a [[socket]] to config.toml: ${firstLine(error)}`, {
      cause: error,
    });
  }
  const sockets = data.socket ?? [];
  if (!Array.isArray(sockets)) {
    throw new CmsError('config_invalid', 'config.toml: sockets are written as [[socket]]');
  }
  return sockets.filter((one: unknown): one is object => typeof one === 'object' && one !== null);
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? '';
}
