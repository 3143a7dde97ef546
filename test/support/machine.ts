/** A machine that systemd runs: booted over a copy-on-write view of this one, see machine.sh. For root, or by sudo. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Finished, run, type RunningProcess, start } from './processes.ts';
import { asRoot } from './requirements.ts';

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));
const SCRIPT = fileURLToPath(new URL('machine.sh', import.meta.url));
const NEEDED = [
  '/lib/systemd/systemd',
  '/lib/systemd/systemd-logind',
  '/usr/lib/pam.d/systemd-user',
  '/usr/bin/dbus-daemon',
];
/** The mounts that machine.sh is about to make, in namespaces that end at once. */
const REHEARSAL = `set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root /mnt/cgroup
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
mount -t proc proc /mnt/root/proc
mount -t cgroup2 cgroup2 /mnt/cgroup
mkdir /mnt/cgroup/cms-rehearsal-$$
rmdir /mnt/cgroup/cms-rehearsal-$$`;
const NAMESPACES = ['--mount', '--uts', '--ipc', '--cgroup', '--pid', '--fork', '--propagation', 'private'];

/** Whether a machine can be booted here; not, say, in most containers. */
export function canBoot(): boolean {
  if (!NEEDED.every((path) => existsSync(path))) return false;
  const [file = '', ...args] = asRoot(['unshare', ...NAMESPACES, 'sh', '-c', REHEARSAL]);
  return spawnSync(file, args, { stdio: 'ignore', timeout: 5000 }).status === 0;
}

/** How `cms` is started inside; its folder is a copy, which belongs to nobody's home. */
const CMS = ['/opt/cms/node', '/opt/cms/bin/run.js'];
const ENVIRONMENT = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=dumb', 'LANG=C.UTF-8'];

export class Machine implements AsyncDisposable {
  readonly #init: RunningProcess;
  readonly #pid: string;
  readonly #folder: string;

  constructor(init: RunningProcess, pid: string, folder: string) {
    this.#init = init;
    this.#pid = pid;
    this.#folder = folder;
  }

  /** A command of root's, or of a user's as a login would have it. */
  argv(argv: readonly string[], user?: { name: string; uid: string }): string[] {
    const enter = asRoot(['nsenter', '-t', this.#pid, '-m', '-u', '-i', '-p', '-C', '-r', '-w']);
    const inside = [...enter, 'env', '-i', ...ENVIRONMENT];
    if (user === undefined) return [...inside, 'HOME=/root', ...argv];
    const { name, uid } = user;
    const login = [`HOME=/home/${name}`, `USER=${name}`, `LOGNAME=${name}`, `XDG_RUNTIME_DIR=/run/user/${uid}`];
    return [...inside, ...login, 'CMS_STORE=file', 'setpriv', '--reuid', uid, '--regid', uid, '--init-groups', ...argv];
  }

  run(argv: readonly string[], user?: { name: string; uid: string }): Promise<Finished> {
    const [file = '', ...args] = this.argv(argv, user);
    return run(file, args, { timeoutMs: 30_000 });
  }

  /** @returns a `cms` that goes on, say one that waits for a person */
  startCms(argv: readonly string[], user?: { name: string; uid: string }): RunningProcess {
    const [file = '', ...args] = this.argv([...CMS, ...argv], user);
    return start(file, args, { closeInput: true });
  }

  cms(argv: readonly string[], user?: { name: string; uid: string }): Promise<Finished> {
    return this.run([...CMS, ...argv], user);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#init.stop();
    await rm(this.#folder, { recursive: true });
  }
}

/** Takes about two seconds. */
export async function bootMachine(): Promise<Machine> {
  const folder = await mkdtemp(join(tmpdir(), 'cms-machine-'));
  const [file = '', ...args] = asRoot([
    'setpriv',
    '--pdeathsig',
    'TERM',
    'sh',
    SCRIPT,
    folder,
    CHECKOUT,
    process.execPath,
  ]);
  const init = start(file, args);
  try {
    const [, pid = ''] = await init.waitFor(/^pid (\d+)$/m);
    const machine = new Machine(init, pid, folder);
    await untilRunning(machine);
    return machine;
  } catch (error) {
    const { stderr } = await init.stop();
    await rm(folder, { recursive: true });
    throw new Error(`systemd did not come up: ${stderr}`, { cause: error });
  }
}

async function untilRunning(machine: Machine): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const { stdout } = await machine.run(['systemctl', 'is-system-running']);
    // A unit of the host's that cannot run here is no concern of ours.
    if (/^(running|degraded)$/m.test(stdout)) return;
    if (Date.now() > deadline) throw new Error(`it is ${stdout.trim()} still`);
    await sleep(100);
  }
}
