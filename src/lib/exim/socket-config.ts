/** The `[[socket]]` of config.toml through which exim reaches the broker. */
import { parse } from 'smol-toml';
import { CmsError, messageOf } from '../errors.ts';

export interface EximSocket {
  path: string;
  /** Whether app passwords are to be handed out there too. */
  passwords: boolean;
}

/**
 * What has to be added at the end of `text` so that the broker opens `socket`; undefined when it is there already.
 * Nothing else in the file is touched.
 * @throws CmsError `config_invalid` when the file cannot be read, or has its sockets in a form that cannot be added to
 */
export function socketAddition(text: string, socket: EximSocket): string | undefined {
  if (socketsOf(text).some((one) => one === socket.path)) return undefined;
  const addition = `${text === '' || text.endsWith('\n') ? '' : '\n'}${text === '' ? '' : '\n'}${socketTable(socket)}`;
  // An inline `socket = […]` cannot be continued by a table; the parser says so.
  socketsOf(text + addition);
  return addition;
}

/** mode and folder let the MTA's group in, the broker asks the kernel who is calling. */
function socketTable({ path, passwords }: EximSocket): string {
  return [
    '# exim asks here (cms exim-config --install)',
    '[[socket]]',
    socketLine(path),
    'mode = "0660"',
    'protocols = ["smtp"]',
    ...(passwords ? ['passwords = true'] : []),
    '',
  ].join('\n');
}

/** The line by which the table is known again. */
export function socketLine(path: string): string {
  return `path = "${path}"`;
}

function socketsOf(text: string): unknown[] {
  let data: Record<string, unknown>;
  try {
    data = parse(text);
  } catch (error) {
    throw new CmsError('config_invalid', `cannot add a [[socket]] to config.toml: ${firstLine(error)}`, {
      cause: error,
    });
  }
  const sockets = data.socket ?? [];
  if (!Array.isArray(sockets))
    throw new CmsError('config_invalid', 'config.toml: socket must be written as [[socket]]');
  return sockets.map((one: unknown) =>
    typeof one === 'object' && one !== null && 'path' in one ? one.path : undefined,
  );
}

function firstLine(error: unknown): string {
  return messageOf(error).split('\n')[0] ?? '';
}
