/**
 * A private exim on this machine: the installed binary in a mount namespace of its own, where /etc/exim4, the spool and
 * the log are folders of the test. Mail is submitted by an ordinary user through the setuid binary, as in real life;
 * exim run by root with -C would hide most of what can go wrong.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Context } from 'mocha';
import { asRoot, requires, requiresRoot } from './requirements.ts';

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

export const EXIM = '/usr/sbin/exim4';
export const SENDMAIL = '/usr/sbin/sendmail';

const ROOT = process.getuid?.() === 0;
/** An ordinary user: the caller, or for root the harmless `games`. */
export const PERSON = ROOT ? 'games' : spawnSync('id', ['-un']).stdout.toString().trim();

/** Leaves the suite out where exim is missing, or nobody may make a mount namespace: root, or sudo without a password. */
export function requireExim(context: Context): void {
  requires(context, 'exim4');
  requiresRoot(context);
}

export async function run(argv: readonly string[], input = ''): Promise<Finished> {
  const [command = '', ...args] = argv;
  const child = spawn(command, args, { stdio: 'pipe' });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { status: child.exitCode, stdout, stderr };
}

/** Runs as root, outside of any namespace. */
export async function runAsRoot(argv: readonly string[], input = ''): Promise<Finished> {
  return run(asRoot(argv), input);
}

const SETUP = `set -eu
cd "$1"
install -d -m 0755 -o root -g root etc
install -d -m 0750 -o Debian-exim -g Debian-exim spool
install -d -m 0750 -o Debian-exim -g Debian-exim log
install -d -m 2750 -o "$2" -g Debian-exim run
install -d -m 2775 -o root -g mail mail
mount --bind etc /etc/exim4
mount --bind spool /var/spool/exim4
mount --bind log /var/log/exim4
mount --bind mail /var/mail
if [ "$3" = installable ]; then
  install -d tmpfiles
  mkdir -p /etc/tmpfiles.d
  mount --bind tmpfiles /etc/tmpfiles.d
  mount -t tmpfs tmpfs /run
fi
echo $$
exec cat`;

export class PrivateExim {
  readonly folder: string;
  readonly #holder: ChildProcess;
  readonly #pid: string;

  private constructor(folder: string, holder: ChildProcess, pid: string) {
    this.folder = folder;
    this.#holder = holder;
    this.#pid = pid;
  }

  /**
   * Makes the folders and the namespace; nothing of exim runs until a mail is submitted. `installable` puts a folder
   * over /etc/tmpfiles.d and an empty file system over /run as well.
   */
  static async start(kind: 'plain' | 'installable' = 'plain'): Promise<PrivateExim> {
    const folder = await mkdtemp(join(tmpdir(), 'cms-exim-'));
    await chmod(folder, 0o755);
    const user = ROOT ? 'root' : PERSON;
    const [command = '', ...args] = asRoot(['unshare', '--mount', 'sh', '-c', SETUP, 'sh', folder, user, kind]);
    const holder = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const [first] = (await once(holder.stdout, 'data')) as [Buffer];
    return new PrivateExim(folder, holder, first.toString().trim());
  }

  /** Where brokers put their socket: a folder whose group is that of the MTA, handed down to what is made in it. */
  get socket(): string {
    return join(this.folder, 'run', 'exim.sock');
  }

  /** The command line that runs `argv` in the namespace, as root or as a `user` without further groups. */
  commandLine(argv: readonly string[], user = 'root'): string[] {
    const group = spawnSync('id', ['-g', user], { encoding: 'utf8' }).stdout.trim();
    const who = user === 'root' ? [] : ['setpriv', `--reuid=${user}`, `--regid=${group}`, '--clear-groups', '--'];
    return asRoot(['nsenter', '--mount', `--target=${this.#pid}`, '--', ...who, ...argv]);
  }

  async asRoot(argv: readonly string[], input = ''): Promise<Finished> {
    return run(this.commandLine(argv), input);
  }

  async as(user: string, argv: readonly string[], input = ''): Promise<Finished> {
    return run(this.commandLine(argv, user), input);
  }

  /** Installs a file below /etc/exim4 of the namespace. */
  async install(name: string, content: string, mode: '0644' | '0640'): Promise<void> {
    const source = join(this.folder, 'new-file');
    await writeFile(source, content);
    const done = await this.asRoot([
      'install',
      '-m',
      mode,
      '-o',
      'root',
      '-g',
      'Debian-exim',
      source,
      `/etc/exim4/${name}`,
    ]);
    if (done.status !== 0) throw new Error(done.stderr);
  }

  /** Submits a message as a program of `user` does, and waits for the first delivery attempt. */
  async submit(args: readonly string[], message: string, user = PERSON): Promise<Finished> {
    return this.as(user, [SENDMAIL, '-oi', '-odf', ...args], message);
  }

  /** Puts a message into the queue without an attempt. */
  async enqueue(args: readonly string[], message: string, user = PERSON): Promise<Finished> {
    return this.as(user, [SENDMAIL, '-oi', '-odq', ...args], message);
  }

  /** One queue run, in the foreground, asked for by an ordinary user. */
  async runQueue(flag = '-qqff'): Promise<Finished> {
    return this.as(PERSON, [EXIM, flag]);
  }

  async queueSize(): Promise<number> {
    return Number((await this.asRoot([EXIM, '-bpc'])).stdout.trim());
  }

  async emptyQueue(): Promise<void> {
    const { stdout } = await this.asRoot([EXIM, '-bpr']);
    const ids = [...stdout.matchAll(/\b\w{6}-\w{6,11}-\w{2,4}\b/g)].map(([id]) => id);
    if (ids.length > 0) await this.asRoot([EXIM, '-Mrm', ...ids]);
  }

  async log(name: 'mainlog' | 'paniclog' = 'mainlog'): Promise<string> {
    return (await this.asRoot(['sh', '-c', `cat /var/log/exim4/${name} 2>/dev/null || :`])).stdout;
  }

  /** The mailbox of a user on this host; empty where there is none. */
  async mailbox(user = PERSON): Promise<string> {
    return (await this.asRoot(['sh', '-c', `cat /var/mail/${user} 2>/dev/null || :`])).stdout;
  }

  async clearLog(): Promise<void> {
    await this.asRoot(['sh', '-c', 'rm -f /var/log/exim4/*']);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.stdin?.end();
    if (this.#holder.exitCode === null) await once(this.#holder, 'close');
    await runAsRoot(['rm', '-rf', '--', this.folder]);
    await rm(this.folder, { recursive: true, force: true });
  }
}
