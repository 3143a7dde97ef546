/** The programs of `[hooks]`: who may own them, and what they are told. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { CmsError, messageOf } from '../core/errors.ts';
import type { Environment } from '../os/paths.ts';
import { redact } from '../core/redact.ts';
import { quoted } from '../core/shell-word.ts';
import { isTrustedOwner, judgeWay, type Place, type Trust } from '../os/files/trusted.ts';
import { inheritedEnvironment } from './child.ts';
import { type Event, headline, plain } from './event.ts';

/** As much of a script as the kernel reads for its interpreter (BINPRM_BUF_SIZE). */
const INTERPRETER_BYTES = 256;

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
 * Refuses a program that another user could exchange, at this moment: each component of the path, of links on it and of
 * their targets belongs to the user or root, and no one else can write to it. So what was judged is what will be run.
 * The interpreter in the first line of a script counts like the script.
 * @throws CmsError `config_invalid`
 */
export function judgeProgram(program: string, uid: number): void {
  const refuse: Refuse = (why, suggestions) =>
    new CmsError('config_invalid', `the hook ${program} is not run: ${why}`, { suggestions });
  const file = judgeExecutable(program, 'it', { uid, links: true, refuse }, refuse);
  const interpreter = interpreterOf(file);
  if (interpreter !== undefined)
    judgeExecutable(interpreter, `its interpreter ${interpreter}`, { uid, links: true, refuse }, refuse);
}

/** As `judgeProgram`; rejects. */
export function requireTrustedProgram(program: string, uid: number): Promise<void> {
  return new Promise((resolve) => {
    judgeProgram(program, uid);
    resolve();
  });
}

type Refuse = (why: string, suggestions: string[]) => CmsError;

/** @returns the path without links */
function judgeExecutable(program: string, name: string, trust: Trust, refuse: Refuse): string {
  const { path, stat } = placeOf(program, trust, refuse);
  if (stat === undefined) throw refuse(`${name} is not there`, [`ls -l ${quoted(program)}`]);
  if (!stat.isFile() || (stat.mode & 0o111) === 0)
    throw refuse(`${name} is not an executable file`, [`chmod u+x ${quoted(path)}`]);
  if (!isTrustedOwner(stat.uid, trust))
    throw refuse(`${path} belongs to another user (uid ${stat.uid})`, [`ls -l ${quoted(path)}`]);
  if ((stat.mode & 0o022) !== 0) throw refuse(`others may write to ${path}`, [`chmod go-w ${quoted(path)}`]);
  return path;
}

function placeOf(program: string, trust: Trust, refuse: Refuse): Place {
  try {
    return judgeWay(program, trust);
  } catch (error) {
    if (error instanceof CmsError && error.code === 'config_invalid') throw error;
    throw refuse(messageOf(error), [`ls -l ${quoted(program)}`]);
  }
}

/** Of a script, as the kernel finds it. @see execve(2), "Interpreter scripts" */
function interpreterOf(path: string): string | undefined {
  const first = firstBytes(path).split('\n', 1)[0] ?? '';
  return /^#![ \t]*(\/[^ \t]*)/.exec(first)?.[1];
}

function firstBytes(path: string): string {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const bytes = Buffer.alloc(INTERPRETER_BYTES);
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
  } catch {
    // A program may be one that can be run and not read.
    return '';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
