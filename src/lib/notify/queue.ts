/** Mail that has waited for an account leaves as soon as it can: exim is asked to run its queue. */
import { spawn } from 'node:child_process';
import { messageOf } from '../errors.ts';
import { inheritedEnvironment } from './child.ts';
import type { Environment } from '../paths.ts';

/** With hosts that do not answer a queue run takes long; it is then left alone, never killed. */
const PATIENCE_MS = 60_000;
const MAX_OUTPUT = 500;

/**
 * Runs `exim4 -qff`: every message is tried again, its retry time notwithstanding. Never throws.
 * @returns undefined when exim did, or is still at it; else why it did not
 * @see exim's specification, "-qff"
 */
export async function flushQueue(
  exim: string,
  env: Environment,
  patienceMs = PATIENCE_MS,
): Promise<string | undefined> {
  try {
    return await run(exim, env, patienceMs);
  } catch (error) {
    return messageOf(error);
  }
}

function run(exim: string, env: Environment, patienceMs: number): Promise<string | undefined> {
  const child = spawn(exim, ['-qff'], {
    cwd: '/',
    env: inheritedEnvironment(env),
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said = (said + chunk).slice(0, MAX_OUTPUT)));
  return new Promise((resolve, reject) => {
    const leave = setTimeout(() => {
      child.unref();
      child.stderr.destroy();
      resolve(undefined);
    }, patienceMs);
    child.once('error', reject);
    child.once('close', () => clearTimeout(leave));
    child.once('close', (status, signal) => {
      resolve(status === 0 ? undefined : said.trim() || (signal ?? `exit status ${status}`));
    });
  });
}
