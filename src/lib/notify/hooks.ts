/** The programs of `[hooks]`: whom they may belong to, and what they are told. */
import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CmsError, messageOf, systemErrorCode } from '../errors.ts';
import type { Environment } from '../paths.ts';
import { redact } from '../redact.ts';
import { inheritedEnvironment } from './child.ts';
import { type Event, headline, plain } from './event.ts';

/** Everything that a hook is told; its arguments are those of `config.toml` and nothing else. */
export function hookEnvironment(event: Event, env: Environment): Environment {
  const { name, address, provider, state, code, reason, explanation, since, remedy, reminder } = event;
  const data = {
    CMS_EVENT: name,
    CMS_ADDRESS: address,
    CMS_PROVIDER: provider,
    CMS_STATE: state,
    CMS_CODE: code,
    CMS_REASON: reason,
    CMS_EXPLANATION: explanation,
    CMS_SINCE: since,
    CMS_REMEDY: remedy,
    CMS_MESSAGE: headline(event),
    CMS_REMINDER: reminder ? '1' : '0',
  };
  const told = Object.entries(data).map(([key, value]) => [key, plain(redact(value ?? ''))]);
  return { ...inheritedEnvironment(env), ...(Object.fromEntries(told) as Record<string, string>) };
}

/**
 * Refuses a program that somebody else could exchange: it, and the folder it lies in, belong to root or to the user and
 * are written by nobody else. Links are followed to the program itself.
 * @throws CmsError `config_invalid`
 */
export async function requireTrustedProgram(program: string, uid: number): Promise<void> {
  const refuse = (why: string, suggestion: string): CmsError =>
    new CmsError('config_invalid', `the hook ${program} is not run: ${why}`, { suggestions: [suggestion] });
  const look = async () => {
    const real = await realpath(program);
    return { real, file: await stat(real), folder: await stat(dirname(real)) };
  };
  const { real, file, folder } = await look().catch((error: unknown) => {
    const code = systemErrorCode(error) ?? messageOf(error);
    throw refuse(code === 'ENOENT' ? 'it is not there' : code, `ls -l ${program}`);
  });
  if (!file.isFile() || (file.mode & 0o111) === 0) throw refuse('it is no program', `chmod u+x ${real}`);
  for (const [path, { uid: owner, mode }] of [[real, file] as const, [dirname(real), folder] as const]) {
    if (owner !== 0 && owner !== uid) throw refuse(`${path} belongs to another user`, `ls -ld ${path}`);
    // Debian leaves /usr/local/bin to the group staff, which is as good as root.
    const others = owner === 0 && path !== real ? 0o002 : 0o022;
    if ((mode & others) !== 0) throw refuse(`others may write to ${path}`, `chmod go-w ${path}`);
  }
}
