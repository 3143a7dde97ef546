/** Which groups hold trusted users only, and which uid is root's. Asked only where a group may write to something. */
import { readFileSync } from 'node:fs';
import { elapsedMs } from '../monotonic.ts';
import { textIfAny } from '../look.ts';

/** Where a group of this name is allowed to install programs for everybody, its members are as good as root. */
const OF_ADMINISTRATORS = new Set(['root', 'wheel', 'staff', 'admin', 'sudo']);
/** Numbers from here on are given to people. @see login.defs(5), GID_MIN */
const FIRST_OF_PEOPLE = 1000;
const GETENT_TIMEOUT_MS = 5000;
/** For how long an answer of a directory service holds: everything else of a broker waits for it. */
const ANSWER_HOLDS_MS = 10_000;

interface Databases {
  /** Lines of passwd(5) and group(5). */
  passwd: string[][];
  group: string[][];
}

/**
 * Whether all members of a group are trusted: those of a private group, which has the name of its user and no other
 * member, and administrators.
 */
export function isTrustedGroup(gid: number, isTrusted: (uid: number) => boolean): boolean {
  const { passwd, group } = { passwd: linesOf('/etc/passwd'), group: linesOf('/etc/group') };
  const local = hasOnly(gid, { passwd, group }, isTrusted);
  if (local !== undefined) return local;
  // A directory service answers for one group or user, but need not list all.
  const entry = ask('group', String(gid));
  const [name = '', , , members = ''] = entry ?? [];
  const users = [name, ...members.split(',')].map((each) => (each === '' ? undefined : ask('passwd', each)));
  const found = [entry, ...users].filter((each) => each !== undefined);
  return hasOnly(gid, { passwd: [...passwd, ...found.slice(1)], group: found.slice(0, 1) }, isTrusted) ?? false;
}

/** Pure part. @returns undefined where no group has this number */
export function hasOnly(
  gid: number,
  { passwd, group }: Databases,
  isTrusted: (uid: number) => boolean,
): boolean | undefined {
  if (gid === 0) return true;
  const entry = group.find(([, , number]) => number === String(gid));
  if (entry === undefined) return undefined;
  const [name = '', , , list = ''] = entry;
  if (gid < FIRST_OF_PEOPLE && OF_ADMINISTRATORS.has(name)) return true;
  const members = list.split(',').filter((each) => each !== '');
  const users = passwd.filter(([user = '', , , primary]) => primary === String(gid) || members.includes(user));
  const names = new Set(users.map(([user]) => user));
  if (users.length === 0) return undefined;
  return members.every((each) => names.has(each)) && users.every(([, , uid]) => isTrusted(Number(uid)));
}

function linesOf(path: string): string[][] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.split(':'));
  } catch {
    return [];
  }
}

const answers = new Map<string, { entry: string[] | undefined; until: number }>();

function ask(database: 'passwd' | 'group', key: string): string[] | undefined {
  const question = `${database} ${key}`;
  const known = answers.get(question);
  if (known !== undefined && elapsedMs() < known.until) return known.entry;
  const entry = askNow(database, key);
  answers.set(question, { entry, until: elapsedMs() + ANSWER_HOLDS_MS });
  return entry;
}

function askNow(database: 'passwd' | 'group', key: string): string[] | undefined {
  // Not imported: this file is loaded by every `cms token`, and asks on few machines.
  const { execFileSync } = process.getBuiltinModule('node:child_process');
  try {
    const said = execFileSync('getent', [database, '--', key], {
      encoding: 'utf8',
      timeout: GETENT_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return said.trim().split(':');
  } catch {
    return undefined;
  }
}

let rootsUid: number | undefined;

/**
 * Whether a file of `uid` is root's. In a user namespace without root, as of a sandbox, all other users look like one,
 * and the directories of the system belong to it.
 */
export function isRoot(uid: number): boolean {
  rootsUid ??= seenRoot(textIfAny('/proc/self/uid_map'), textIfAny('/proc/sys/kernel/overflowuid'));
  return uid === 0 || uid === rootsUid;
}

/** Pure part. @see user_namespaces(7) */
export function seenRoot(map: string, overflow: string): number {
  const starts = map.split('\n').flatMap((line) => /^\s*(\d+)/.exec(line)?.[1] ?? []);
  return starts.length === 0 || starts.includes('0') ? 0 : Number(overflow);
}
