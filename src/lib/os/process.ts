/** Other programs: run, and what they said. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { CmsError, messageOf } from '../core/errors.ts';
import { writeFileDurable } from './files/files.ts';

export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a command with `input` on its stdin and collects what it says. */
export type Run = (argv: readonly string[], input?: string) => Promise<Finished>;

const RUN_LIMIT_MS = 60_000;

export const run: Run = (argv, input) => runUntil(argv, input, AbortSignal.timeout(RUN_LIMIT_MS));

/**
 * Runs commands for a caller that does not wait forever: what takes longer than `limitMs`, or still runs at `stop`, is
 * killed, and left alone where it cannot be.
 */
export function impatientRun(limitMs: number, stop: AbortSignal): Run {
  return (argv, input) => runUntil(argv, input, AbortSignal.any([stop, AbortSignal.timeout(limitMs)]));
}

async function runUntil(argv: readonly string[], input = '', signal: AbortSignal): Promise<Finished> {
  const [command = '', ...args] = argv;
  // Not spawn's own timeout: where there is no such program, its timer keeps us alive until it fires.
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  signal.addEventListener('abort', () => abandon(child));
  try {
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { status: child.exitCode, stdout, stderr };
  } catch (error) {
    throw new CmsError('io_error', `cannot run ${command}: ${messageOf(error)}`, { cause: error });
  }
}

/** What sudo runs is not ours to kill, and what a killed program has started holds its pipes. */
function abandon(child: ChildProcessWithoutNullStreams): void {
  child.unref();
  for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe.destroy();
}

/** Runs with the terminal left to the command, so that sudo can ask and people can read. Resolves with its status. */
async function runInForeground(argv: readonly string[], input: string): Promise<number | null> {
  const [command = '', ...args] = argv;
  // The result of a script is for people: it goes where people read.
  const child = spawn(command, args, { stdio: ['pipe', process.stderr, 'inherit'] });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  await once(child, 'close');
  return child.exitCode;
}

/** Runs in our place: with our stdin and stdout as well. Resolves with its status. */
export async function runInOurPlace(argv: readonly string[]): Promise<number | null> {
  const [command = '', ...args] = argv;
  const child = spawn(command, args, { stdio: 'inherit' });
  // The terminal sends Ctrl-C to both; who runs in our place decides what it means.
  const wait = (): void => undefined;
  process.on('SIGINT', wait);
  await once(child, 'close').finally(() => process.off('SIGINT', wait));
  return child.exitCode;
}

/**
 * Runs a script of sh as root: directly, else through sudo, which asks on the terminal.
 * @throws CmsError `io_error` when it failed
 */
export async function runScriptAsRoot(script: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'cms-install-'));
  try {
    const file = join(folder, 'install.sh');
    await writeFileDurable(file, script, 0o700);
    const status = await runInForeground([...(process.getuid?.() === 0 ? [] : ['sudo']), 'sh', file], '');
    if (status !== 0) throw new CmsError('io_error', `the install script ended with ${String(status)}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
