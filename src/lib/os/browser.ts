/** Opening a URL for the person at this machine: `$BROWSER` first, else what the desktop has. */
import { spawn } from 'node:child_process';
import type { Environment } from './paths.ts';

/**
 * Starts a browser and does not wait for it.
 * @returns whether one was started
 */
export async function openBrowser(url: string, env: Environment): Promise<boolean> {
  if (env.BROWSER) return startOwn(env.BROWSER, url);
  const { default: open } = await import('open');
  try {
    const child = await open(url);
    child.unref();
    return await started(child);
  } catch {
    return false;
  }
}

/** `$BROWSER` holds command lines between colons, tried in turn; `%s` stands for the URL, which else comes last. */
async function startOwn(browser: string, url: string): Promise<boolean> {
  for (const line of browser.split(':')) {
    const [program, ...words] = line.split(/\s+/).filter((word) => word !== '');
    if (program !== undefined && (await startProgram(program, words, url))) return true;
  }
  return false;
}

function startProgram(program: string, words: readonly string[], url: string): Promise<boolean> {
  const arguments_ = words.some((word) => word.includes('%s'))
    ? words.map((word) => word.replaceAll('%s', url))
    : [...words, url];
  const child = spawn(program, arguments_, { stdio: 'ignore', detached: true });
  child.unref();
  return started(child);
}

function started(child: ReturnType<typeof spawn>): Promise<boolean> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('spawn', () => resolve(true));
    // `open` hands out children that have been spawned already.
    if (child.pid !== undefined) resolve(true);
  });
}
