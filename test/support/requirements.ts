/**
 * What a test needs of the machine. Where it is missing the test is left out and named at the end, together with the
 * command that installs it; with CMS_E2E=required it fails instead.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Context, Suite } from 'mocha';
import { isExecutable } from '../../src/lib/os/look.ts';

export type Requirement = keyof typeof REQUIREMENTS;

interface Need {
  /** Debian packages that bring it; none where it is a matter of who runs the tests. */
  packages: readonly string[];
  present: () => boolean;
  otherwise?: string;
}

/**
 * Debian keeps it in the folder of the architecture. The one for threads: in the other, a thread that read the file
 * before it changed puts the old offset back, and the next look of any thread is at that time.
 */
export const FAKETIME_LIBRARY = ['x86_64', 'aarch64']
  .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));

const REQUIREMENTS = {
  exim4: need(['exim4-daemon-light'], () => hasPrograms('exim4')),
  dbus: need(['dbus'], () => hasPrograms('dbus-daemon', 'dbus-send')),
  'gnome-keyring': need(['gnome-keyring', 'libsecret-tools', 'dbus'], () =>
    hasPrograms('gnome-keyring-daemon', 'secret-tool', 'dbus-daemon', 'dbus-send'),
  ),
  chromium: need(['chromium'], () => isExecutable('/usr/bin/chromium')),
  sudo: need(['sudo'], () => succeeds('sudo', '-n', 'true'), 'sudo without a password'),
  'unshare-mounts': need(
    ['util-linux'],
    () => succeeds('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'),
    'root with CAP_SYS_ADMIN',
  ),
  socat: need(['socat'], () => hasPrograms('socat')),
  nc: need(['netcat-openbsd'], () => succeeds('sh', '-c', 'nc -h 2>&1 | grep -q OpenBSD')),
  dash: need(['dash'], () => hasPrograms('dash')),
  bash: need(['bash'], () => hasPrograms('bash')),
  faketime: need(['faketime'], () => FAKETIME_LIBRARY !== undefined),
  prlimit: need(['util-linux'], () => hasPrograms('prlimit')),
  mount: need(['util-linux', 'sudo'], mayMount, 'root, or sudo without a password, with CAP_SYS_ADMIN'),
  systemd: need(['systemd'], () => hasPrograms('systemd-analyze', 'systemd-socket-activate')),
  strace: need(
    ['strace'],
    () => succeeds('strace', '-o', '/dev/null', 'true'),
    'a kernel that lets a process trace its child',
  ),
  tmux: need(['tmux'], () => hasPrograms('tmux')),
  zsh: need(['zsh'], () => hasPrograms('zsh')),
  fish: need(['fish'], () => hasPrograms('fish')),
  msmtp: need(['msmtp'], () => hasPrograms('msmtp')),
  mutt: need(['mutt'], () => hasPrograms('mutt')),
  mbsync: need(
    ['isync', 'libsasl2-modules-kdexoauth2'],
    () => hasPrograms('mbsync') && succeeds('sh', '-c', 'ls /usr/lib/*/sasl2/libkdexoauth2.so*'),
  ),
  groff: need(['groff-base'], () => hasPrograms('groff')),
  mandoc: need(['mandoc'], () => hasPrograms('mandoc')),
  'exim4-config': need(['exim4-daemon-light', 'exim4-config'], () => hasPrograms('exim4', 'update-exim4.conf')),
  'second-user': need([], () => process.getuid?.() === 0 && succeeds('getent', 'passwd', 'nobody'), 'root'),
};

function need(packages: readonly string[], present: () => boolean, otherwise?: string): Need {
  return { packages, present, ...(otherwise === undefined ? {} : { otherwise }) };
}

const IS_ROOT = process.getuid?.() === 0;

/** Leaves the test out where nobody may do what `asRoot` does. */
export function requiresRoot(context: Context | Suite): void {
  requires(context, IS_ROOT ? 'unshare-mounts' : 'sudo');
}

/** The command as root runs it: as it is, or by sudo. */
export function asRoot(argv: readonly string[]): string[] {
  return IS_ROOT ? [...argv] : ['sudo', '-n', ...argv];
}

/** Whether a missing thing is a failure. */
export function isStrict(env: NodeJS.ProcessEnv = process.env): boolean {
  return env.CMS_E2E === 'required';
}

/**
 * Leaves the test, or all tests of the suite, out unless the machine has everything that is named. Call it with `this`
 * of a test, of a `before` or of a `describe`.
 */
export function requires(context: Context | Suite, ...names: Requirement[]): void {
  if (isSuite(context)) {
    context.beforeAll(function () {
      requires(this, ...names);
    });
    return;
  }
  const missing = names.filter((name) => !isPresent(name));
  if (missing.length === 0) return;
  if (isStrict()) throw new Error(`missing: ${missing.map(explain).join('; ')}`);
  for (const title of titlesOf(context)) noteLeftOut({ title, missing });
  context.skip();
}

export function isPresent(name: Requirement): boolean {
  const known = knownPresence();
  const before = known.get(name);
  if (before !== undefined) return before;
  const present = REQUIREMENTS[name].present();
  known.set(name, present);
  return present;
}

export interface LeftOut {
  title: string;
  missing: readonly Requirement[];
}

/** Names the file in which what was left out is noted: mocha runs test files in several processes. */
export const LEFT_OUT_FILE = 'CMS_TEST_LEFT_OUT';

function noteLeftOut(entry: LeftOut): void {
  const path = process.env[LEFT_OUT_FILE];
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(entry)}\n`);
}

/** The tests left out so far. */
export function leftOut(): LeftOut[] {
  const path = process.env[LEFT_OUT_FILE];
  if (path === undefined || !existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as LeftOut);
}

/** @returns undefined when no test was left out */
export function summaryOf(left: readonly LeftOut[]): string | undefined {
  if (left.length === 0) return undefined;
  const lines = left.map(({ title, missing }) => `  - ${title} (needs ${missing.join(', ')})`);
  const missing = [...new Set(left.flatMap((entry) => entry.missing))];
  const packages = [...new Set(missing.flatMap((name) => REQUIREMENTS[name].packages))].sort();
  const install = packages.length === 0 ? [] : [`To run them too: apt-get install ${packages.join(' ')}`];
  const others = missing.map((name) => [name, REQUIREMENTS[name].otherwise] as const);
  const notes = others.flatMap(([name, note]) => (note === undefined ? [] : [`${name} needs ${note}.`]));
  return [`${left.length} tests were left out:`, ...lines, ...install, ...notes].join('\n');
}

function explain(name: Requirement): string {
  const { packages, otherwise } = REQUIREMENTS[name];
  const ways = [...(packages.length === 0 ? [] : [`apt-get install ${packages.join(' ')}`]), otherwise ?? ''];
  return `${name} (${ways.filter((way) => way !== '').join(', or ')})`;
}

function isSuite(context: Context | Suite): context is Suite {
  return 'beforeAll' in context;
}

function titlesOf(context: Context): string[] {
  const runnable = context.test;
  if (runnable === undefined) return ['a test'];
  // In a "before all" hook `currentTest` is merely the first of those that it stands in front of.
  if (!runnable.title.startsWith('"before all"')) return [(context.currentTest ?? runnable).fullTitle()];
  const titles: string[] = [];
  runnable.parent?.eachTest((test) => titles.push(test.fullTitle()));
  return titles;
}

const KNOWN = Symbol.for('cms.test.requirements');

/** In the process and not in the module, which the runner may load a second time for its hooks. */
function knownPresence(): Map<Requirement, boolean> {
  const holder = globalThis as unknown as Record<symbol, Map<Requirement, boolean> | undefined>;
  return (holder[KNOWN] ??= new Map<Requirement, boolean>());
}

function hasPrograms(...names: string[]): boolean {
  // Daemons live in sbin, which an ordinary user's PATH may lack.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return names.every((name) => folders.some((folder) => isExecutable(join(folder, name))));
}

function mayMount(): boolean {
  const [file = '', ...args] = asRoot(['unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']);
  return succeeds(file, ...args);
}

function succeeds(file: string, ...args: string[]): boolean {
  return spawnSync(file, args, { stdio: 'ignore', timeout: 5000 }).status === 0;
}
