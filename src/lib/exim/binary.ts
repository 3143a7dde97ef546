/** The program exim: where it is, and what it makes of an expansion. */
import { delimiter, join } from 'node:path';
import { CmsError } from '../core/errors.ts';
import { isExecutable } from '../os/look.ts';
import type { Environment } from '../os/paths.ts';
import type { Finished, Run } from '../os/process.ts';

// Not on an ordinary user's PATH.
const USUAL_PLACES = ['/usr/sbin/exim4', '/usr/sbin/exim', '/usr/exim/bin/exim'];

/**
 * Path of the exim binary.
 * @throws CmsError `config_invalid` when there is none
 */
export function findExim4(env: Environment): string {
  const onPath = (env.PATH ?? '').split(delimiter).flatMap((folder) => [join(folder, 'exim4'), join(folder, 'exim')]);
  const found = [...USUAL_PLACES, ...onPath].find(isExecutable);
  if (found !== undefined) return found;
  throw new CmsError('config_invalid', 'exim4 is not installed', {
    suggestions: ['sudo apt-get install exim4-daemon-light'],
  });
}

/**
 * What exim makes of an expansion. It is handed over on stdin: as an argument, exim takes 256 bytes.
 * @param argv exim and its options
 */
export async function expand(
  run: Run,
  argv: readonly string[],
  expansion: string,
): Promise<Pick<Finished, 'stdout' | 'stderr'>> {
  const { stdout, stderr } = await run([...argv, '-be'], `${expansion}\n`);
  // It prompts, and at the end of its input once more.
  return { stdout: stdout.replace(/^> /, '').replace(/\n(?:> \n?)?$/, ''), stderr };
}
