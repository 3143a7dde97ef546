/** Users and groups by name, as the system's name service knows them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CmsError } from '../../core/errors.ts';
import type { SocketSettings } from '../../config/settings.ts';
import type { SocketPolicy } from './policy.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 5000;
/** Exit status. @see getent(1) */
const NOT_FOUND = 2;

/**
 * The settings with their names resolved.
 * @throws CmsError `config_invalid` for a name that does not exist, `io_error` where it cannot be looked up
 */
export async function resolvePolicy({ file, ...settings }: SocketSettings): Promise<SocketPolicy> {
  const { path, group, users } = settings;
  const wanted = `${path}${file === undefined ? '' : ` of ${file}`}`;
  const gid = group === undefined ? undefined : await lookUp('group', group, wanted);
  const uids = users && (await Promise.all(users.map((name) => lookUp('passwd', name, wanted))));
  return { ...settings, private: false, ...(gid !== undefined && { gid }), ...(uids && { uids }) };
}

async function lookUp(database: 'passwd' | 'group', name: string, socket: string): Promise<number> {
  if (/^\d{1,9}$/.test(name)) return Number(name);
  const kind = database === 'passwd' ? 'user' : 'group';
  try {
    const { stdout } = await run('getent', ['--', database, name], { timeout: TIMEOUT_MS });
    const id = Number(stdout.split(':')[2]);
    if (Number.isInteger(id)) return id;
  } catch (error) {
    if ((error as { code?: unknown }).code !== NOT_FOUND)
      throw new CmsError('io_error', `cannot look up the ${kind} ${name} for the socket ${socket}`, {
        suggestions: [`getent ${database} ${name}`],
        cause: error,
      });
  }
  throw new CmsError('config_invalid', `there is no ${kind} ${name} for the socket ${socket}`, {
    suggestions: [`getent ${database} | cut -d: -f1`],
  });
}
