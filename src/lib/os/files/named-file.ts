/** Files that a person or an organisation's preset names, and that are read once: a client's secret, a password. */
import { lstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CmsError } from '../../core/errors.ts';
import { cures } from './advice.ts';
import { ioError } from './files.ts';
import { readTrustedText } from './trusted.ts';

/** What a shell puts in place of `<(…)`, and what is piped in: open already, so that no name is followed. */
const OPEN_ALREADY = /^\/(?:dev\/(?:stdin|fd\/\d+)|proc\/self\/fd\/\d+)$/;

/**
 * @param path as it was named; a descriptor of this process may be a pipe
 * @throws CmsError `config_invalid` for a file that another user could change, `io_error`
 */
export async function readNamed(path: string): Promise<string> {
  if (!OPEN_ALREADY.test(path)) return readNamedNow(path);
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw ioError('read', path, error);
  });
}

/** The same at once, for files alone. @throws CmsError as `readNamed` */
export function readNamedNow(path: string): string {
  const text = readTrustedText(path, { links: true, owner: ownedByCaller(path) });
  if (text !== undefined) return text;
  throw new CmsError('io_error', `cannot read ${path}: ENOENT`, { suggestions: cures(path, 'ENOENT') });
}

/** Root under sudo may be given a file of the user who called sudo. */
function ownedByCaller(path: string): number | undefined {
  const caller = Number(process.env.SUDO_UID);
  if (process.getuid?.() !== 0 || !(caller > 0)) return undefined;
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.uid === caller ? caller : undefined;
  } catch {
    return undefined;
  }
}
