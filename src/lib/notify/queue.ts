/** Mail that has waited for an account leaves as soon as it can: exim is asked to run its queue. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { messageOf } from '../core/errors.ts';
import { inheritedEnvironment } from './child.ts';
import type { Environment } from '../os/paths.ts';

/** With hosts that do not answer a queue run takes long; it is then left alone, never killed. */
const PATIENCE_MS = 60_000;
const MAX_OUTPUT = 500;

export interface FlushOptions {
  env: Environment;
  uid: number;
  patienceMs?: number;
  /** What the kernel says about this process. */
  statusFile?: string;
}

/**
 * Runs `exim4 -qff`: every message is tried again, its retry time notwithstanding. Never throws.
 * @returns undefined when exim did, or is still at it; else why it did not
 * @see exim's specification, "-qff"
 */
export async function flushQueue(exim: string, options: FlushOptions): Promise<string | undefined> {
  const { env, uid, patienceMs = PATIENCE_MS, statusFile = '/proc/self/status' } = options;
  try {
    // Without its own user's rights exim sees an empty queue, does nothing, and says that all went well.
    if (uid !== 0 && (await gainsNoRights(statusFile))) return 'the service has NoNewPrivileges, and exim is setuid';
    return await run(exim, env, patienceMs);
  } catch (error) {
    return messageOf(error);
  }
}

/** What lets the broker do it from now on, or else does it by hand. */
export function flushRemedy(reason: string): string {
  const once = 'sudo exim4 -qff, or wait for the next queue run';
  if (!reason.includes('permission denied')) return once;
  return `${once}; to let every user, put prod_requires_admin = false into exim's configuration`;
}

async function gainsNoRights(statusFile: string): Promise<boolean> {
  const status = await readFile(statusFile, 'utf8').catch(() => '');
  return /^NoNewPrivs:\s*1$/m.test(status);
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
