/** Users and groups by name, as the system's name service knows them. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CmsError } from '../errors.ts';
import type { SocketSettings } from '../settings.ts';
import type { SocketPolicy } from './policy.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 5000;

/** The settings with their names resolved. @throws CmsError `config_invalid` for a name that nobody has */
export async function resolvePolicy(settings: SocketSettings): Promise<SocketPolicy> {
  const { path, group, users } = settings;
  const gid = group === undefined ? undefined : await lookUp('group', group, path);
  const uids = users && (await Promise.all(users.map((name) => lookUp('passwd', name, path))));
  return { ...settings, private: false, ...(gid !== undefined && { gid }), ...(uids && { uids }) };
}

async function lookUp(database: 'passwd' | 'group', name: string, socket: string): Promise<number> {
  if (/^\d{1,9}$/.test(name)) return Number(name);
  try {
    const { stdout } = await run('getent', ['--', database, name], { timeout: TIMEOUT_MS });
    const id = Number(stdout.split(':')[2]);
    if (Number.isInteger(id)) return id;
  } catch {
    // getent exits with 2 for a name that it does not find.
  }
  const kind = database === 'passwd' ? 'user' : 'group';
  throw new CmsError('config_invalid', `there is no ${kind} ${name} for the socket ${socket}`, {
    suggestions: [`getent ${database} | cut -d: -f1`],
  });
}
