/**
 * A private exim on this machine: the installed binary in a mount namespace of its own, where /etc/exim4, the spool and
 * the log are folders of the test. Mail is submitted by an ordinary user through the setuid binary, as in real life;
 * exim run by root with -C would hide most of what can go wrong.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { spawnSync } from 'node:child_process';

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

export const EXIM = '/usr/sbin/exim4';
export const SENDMAIL = '/usr/sbin/sendmail';

const ROOT = process.getuid?.() === 0;
/** An ordinary user: the caller, or for root the harmless `games`. */
export const PERSON = ROOT ? 'games' : (process.env.USER ?? spawnSync('id', ['-un']).stdout.toString().trim());

/** Why these tests cannot run here, or undefined. */
export function eximObstacle(): string | undefined {
  if (process.platform !== 'linux') return 'mount namespaces are a thing of Linux';
  if (!existsSync(EXIM)) return 'exim4 is not installed: apt-get install exim4-daemon-light';
  if (!ROOT && spawnSync('sudo', ['-n', 'true']).status !== 0) return 'neither root nor sudo without a password';
  const [command = '', ...args] = asRoot(['unshare', '--mount', 'true']);
  if (spawnSync(command, args).status !== 0) return 'no mount namespaces here';
  return undefined;
}

function asRoot(argv: readonly string[]): string[] {
  return ROOT ? [...argv] : ['sudo', '-n', ...argv];
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
mount --bind etc /etc/exim4
mount --bind spool /var/spool/exim4
mount --bind log /var/log/exim4
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

  /** Makes the folders and the namespace; nothing of exim runs until a mail is submitted. */
  static async start(): Promise<PrivateExim> {
    const folder = await mkdtemp(join(tmpdir(), 'cms-exim-'));
    await chmod(folder, 0o755);
    const user = ROOT ? 'root' : PERSON;
    const [command = '', ...args] = asRoot(['unshare', '--mount', 'sh', '-c', SETUP, 'sh', folder, user]);
    const holder = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const [first] = (await once(holder.stdout, 'data')) as [Buffer];
    return new PrivateExim(folder, holder, first.toString().trim());
  }

  /** Where brokers put their socket: a folder whose group is that of the MTA, handed down to what is made in it. */
  get socket(): string {
    return join(this.folder, 'run', 'exim.sock');
  }

  /** Runs in the namespace, as root. */
  async asRoot(argv: readonly string[], input = ''): Promise<Finished> {
    return runAsRoot(['nsenter', '--mount', `--target=${this.#pid}`, '--', ...argv], input);
  }

  /** Runs in the namespace, as `user` without further groups. */
  async as(user: string, argv: readonly string[], input = ''): Promise<Finished> {
    const who = ['setpriv', `--reuid=${user}`, `--regid=${await groupOf(user)}`, '--clear-groups', '--'];
    return this.asRoot([...who, ...argv], input);
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

async function groupOf(user: string): Promise<string> {
  return (await run(['id', '-g', user])).stdout.trim();
}
