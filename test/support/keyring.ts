/**
 * A real gnome-keyring on a session bus of its own, with a home of its own: unlocked, locked, stopped, frozen at will.
 * No display is there, so nobody can answer a prompt.
 */
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run, start } from './processes.ts';
import type { Environment, Finished, RunningProcess } from './processes.ts';

const PASSWORD = 'password of the login keyring';
const SERVICE = 'org.freedesktop.secrets';
const LOGIN_COLLECTION = '/org/freedesktop/secrets/collection/login';
const START_TIMEOUT_MS = 5000;

/** Stands in the environment of everything started here, the bus's own children included, so that all of it is found. */
const MARK = 'CMS_TEST_KEYRING';

/** Runs `work` beside an unlocked keyring; ends every process of it afterwards. */
export async function withKeyring<Result>(
  work: (env: Environment, keyring: Keyring) => Promise<Result>,
): Promise<Result> {
  const keyring = await startKeyring();
  try {
    return await work(keyring.env, keyring);
  } finally {
    await keyring.stop();
  }
}

/** The same for hooks: starts an unlocked keyring, which `stop()` ends. */
export async function startKeyring(): Promise<Keyring> {
  const folder = await mkdtemp(join(tmpdir(), 'cms-keyring-'));
  const home = join(folder, 'home');
  const runtime = join(folder, 'run');
  for (const path of [home, runtime]) await mkdir(path, { mode: 0o700 });
  const env: Environment = {
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    HOME: home,
    XDG_DATA_HOME: join(home, 'data'),
    XDG_RUNTIME_DIR: runtime,
    [MARK]: folder,
  };
  const bus = start('dbus-daemon', ['--session', '--print-address', '--nofork', '--nopidfile'], { env });
  const [, address] = await bus.waitFor(/^(unix:.*)$/m, { stream: 'stdout' });
  const keyring = new Keyring(folder, bus, { ...env, DBUS_SESSION_BUS_ADDRESS: address });
  try {
    await keyring.startDaemon();
    return keyring;
  } catch (error) {
    await keyring.stop();
    throw error;
  }
}

export class Keyring {
  /** Home, runtime folder and bus; add to it what a program needs besides. */
  readonly env: Environment;
  readonly #folder: string;
  readonly #bus: RunningProcess;
  #frozen: number | undefined;

  constructor(folder: string, bus: RunningProcess, env: Environment) {
    this.#folder = folder;
    this.#bus = bus;
    this.env = env;
  }

  /** Starts the daemon, unlocked. */
  async startDaemon(): Promise<void> {
    const args = ['--replace', '--unlock', '--components=secrets'];
    await this.#succeed('gnome-keyring-daemon', args, PASSWORD);
    await this.#until(async () => (await this.isLocked()) === false, 'the keyring did not open');
  }

  /** Ends the daemon. The bus starts another one, locked, for whoever asks next. */
  async stopDaemon(): Promise<void> {
    const pid = await this.daemonPid();
    if (pid === undefined) return;
    process.kill(pid, 'SIGTERM');
    await this.#until(async () => !(await this.processes()).includes(pid), 'the daemon did not end');
  }

  async lock(): Promise<void> {
    await this.#call('org.freedesktop.Secret.Service.Lock', `array:objpath:${LOGIN_COLLECTION}`);
    await this.#until(async () => (await this.isLocked()) === true, 'the keyring did not lock');
  }

  async unlock(): Promise<void> {
    await unlockAsAtLogin(join(this.env.XDG_RUNTIME_DIR ?? '', 'keyring', 'control'));
    await this.#until(async () => (await this.isLocked()) === false, 'the keyring did not open');
  }

  /** @returns undefined where there is no login keyring */
  async isLocked(): Promise<boolean | undefined> {
    const property = ['string:org.freedesktop.Secret.Collection', 'string:Locked'];
    const args = ['org.freedesktop.DBus.Properties.Get', ...property];
    const { status, stdout } = await this.#send(SERVICE, LOGIN_COLLECTION, args);
    return status === 0 ? stdout.includes('boolean true') : undefined;
  }

  /** Freezes the daemon: it takes requests and answers none. */
  async pause(): Promise<void> {
    this.#frozen = await this.daemonPid();
    if (this.#frozen === undefined) throw new Error('no daemon to freeze');
    process.kill(this.#frozen, 'SIGSTOP');
  }

  resume(): void {
    if (this.#frozen !== undefined) process.kill(this.#frozen, 'SIGCONT');
    this.#frozen = undefined;
  }

  /** Ends the bus, and with it the daemon's clients lose their way to it. */
  async stopBus(): Promise<void> {
    await this.#bus.stop();
  }

  /** Stores an item as any program of the session does. */
  async store(attributes: Record<string, string>, secret: string): Promise<void> {
    await this.#succeed('secret-tool', ['store', '--label=test', ...Object.entries(attributes).flat()], secret);
  }

  /** @returns undefined where there is none, or where it cannot be had now */
  async lookup(attributes: Record<string, string>): Promise<string | undefined> {
    const args = ['lookup', ...Object.entries(attributes).flat()];
    const { status, stdout } = await run('secret-tool', args, { env: this.env, timeoutMs: START_TIMEOUT_MS });
    return status === 0 ? stdout : undefined;
  }

  /** The process that answers for the Secret Service now. */
  async daemonPid(): Promise<number | undefined> {
    const args = ['org.freedesktop.DBus.GetConnectionUnixProcessID', `string:${SERVICE}`];
    const { status, stdout } = await this.#send('org.freedesktop.DBus', '/org/freedesktop/DBus', args);
    const pid = /uint32 (\d+)/.exec(stdout)?.[1];
    return status === 0 && pid !== undefined ? Number(pid) : undefined;
  }

  /** Every process of this keyring: bus, daemon, prompter. */
  async processes(): Promise<number[]> {
    const mark = `${MARK}=${this.#folder}`;
    const found: number[] = [];
    for (const name of await readdir('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      // A process may be gone by now, and those of others cannot be read; neither is ours.
      const environ = await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '');
      if (environ.split('\0').includes(mark)) found.push(Number(name));
    }
    return found;
  }

  /** Ends everything and removes the folder. */
  async stop(): Promise<void> {
    this.resume();
    await this.#bus.stop();
    await this.#until(async () => {
      const left = await this.processes();
      for (const pid of left) kill(pid);
      return left.length === 0;
    }, 'the keyring did not end');
    await rm(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #send(destination: string, path: string, args: readonly string[]): Promise<Finished> {
    const head = ['--session', '--print-reply', '--reply-timeout=2000', `--dest=${destination}`, path];
    return run('dbus-send', [...head, ...args], { env: this.env });
  }

  async #call(method: string, ...args: string[]): Promise<void> {
    const { status, stderr } = await this.#send(SERVICE, '/org/freedesktop/secrets', [method, ...args]);
    if (status !== 0) throw new Error(`${method}: ${stderr}`);
  }

  async #succeed(file: string, args: readonly string[], input: string): Promise<void> {
    const { status, stderr } = await run(file, args, { env: this.env, input });
    if (status !== 0) throw new Error(`${file} ${args.join(' ')}: exit ${String(status)}\n${stderr}`);
  }

  async #until(reached: () => Promise<boolean>, otherwise: string): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await reached())) {
      if (Date.now() > deadline) throw new Error(otherwise);
      await sleep(25);
    }
  }
}

/**
 * Gives the daemon that runs the password as the PAM module does when somebody logs in: the program's own --unlock would
 * start a second daemon. One byte for the credentials, then length, operation 1, and the password with its length.
 */
async function unlockAsAtLogin(controlSocket: string): Promise<void> {
  const password = Buffer.from(PASSWORD);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(12 + password.length, 1);
  head.writeUInt32BE(1, 5);
  head.writeUInt32BE(password.length, 9);
  const socket = connect(controlSocket);
  socket.setTimeout(START_TIMEOUT_MS, () => socket.destroy(new Error('the keyring does not answer')));
  socket.write(Buffer.concat([head, password]));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  if (answer.length < 8 || answer.readUInt32BE(4) !== 0) throw new Error('the keyring refused the password');
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
