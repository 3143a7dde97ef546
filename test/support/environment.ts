/** A home of its own for each test, and `cms` as its users start it: the built program, by its file. */
import { existsSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { noteAdvice } from './advised.ts';
import { run, start } from './processes.ts';
import type { Environment, Finished, RunOptions, RunningProcess, StartOptions } from './processes.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The file that `npm install -g` puts on the PATH as `cms`. */
export const CMS_PROGRAM = join(ROOT, 'bin', 'run.js');

/** Room that a socket's name needs below the runtime folder, out of the 107 bytes that the kernel takes. */
const LONGEST_RUNTIME_DIR = 80;

export interface TemporaryHome {
  /** 0700; everything else is below it. */
  path: string;
  home: string;
  configDir: string;
  stateDir: string;
  runtimeDir: string;
  /** Nothing of the caller's but PATH: no display, no session bus, no XDG folders. */
  env: Environment;
  /** Writes a file into the configuration folder, which it makes where it is missing. */
  writeConfig(name: string, content: string, mode?: number): Promise<string>;
  remove(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface TemporaryHomeOptions {
  /** Trusted by Node besides its own authorities. */
  caFile?: string;
  /** Further variables; undefined takes one away. */
  env?: Environment;
}

export async function temporaryHome(options: TemporaryHomeOptions = {}): Promise<TemporaryHome> {
  const parent = join(tmpdir(), 'x'.repeat(16)).length > LONGEST_RUNTIME_DIR ? '/tmp' : tmpdir();
  const path = await mkdtemp(join(parent, 'cms-'));
  const home = join(path, 'home');
  const configDir = join(path, 'config');
  const stateDir = join(path, 'state');
  const runtimeDir = join(path, 'run');
  await mkdir(home, { mode: 0o700 });
  const remove = () => rm(path, { recursive: true, force: true });
  return {
    path,
    home,
    configDir,
    stateDir,
    runtimeDir,
    env: {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: home,
      CMS_CONFIG_DIR: configDir,
      CMS_STATE_DIR: stateDir,
      CMS_RUNTIME_DIR: runtimeDir,
      ...(options.caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: options.caFile }),
      ...options.env,
    },
    writeConfig: (name, content, mode = 0o600) => writeInto(configDir, name, content, mode),
    remove,
    [Symbol.asyncDispose]: remove,
  };
}

async function writeInto(folder: string, name: string, content: string, mode: number): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(file, content, { mode });
  // The umask took bits off the mode, and a file that was there keeps its own.
  await chmod(file, mode);
  return file;
}

/** Runs `cms` to its end. `env` is the whole environment, say that of `temporaryHome()`. */
export async function runCms(args: readonly string[], options: RunOptions & { env: Environment }): Promise<Finished> {
  const finished = await run(process.execPath, [builtProgram(), ...args], options);
  noteAdvice(finished.stderr);
  return finished;
}

/** Starts a `cms` that goes on, such as `serve`, or one that waits for a person. */
export function spawnCms(args: readonly string[], options: StartOptions & { env: Environment }): RunningProcess {
  const started = start(process.execPath, [builtProgram(), ...args], options);
  void started.exited.then(() => noteAdvice(started.stderr));
  return started;
}

let checked = false;

function builtProgram(): string {
  if (!checked) requireBuild(join(ROOT, 'dist', 'program', 'main.js'), join(ROOT, 'dist', 'index.js'));
  checked = true;
  return CMS_PROGRAM;
}

function requireBuild(bundle: string, compiled: string): void {
  if (!existsSync(bundle)) throw new Error('the program is not built yet: npm run build');
  // Compiled alone, without the bundle that is run: the tests would be those of an older program.
  if (existsSync(compiled) && statSync(compiled).mtimeMs > statSync(bundle).mtimeMs) {
    throw new Error('the program is older than what tsc compiled: npm run build');
  }
}
