/** What a process asks of the kernel, seen by strace: the only way to see that bytes were sent on to the disk. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finished, run, type RunOptions } from './processes.ts';

const WRITING = ['write', 'pwrite64', 'writev', 'ftruncate', 'fsync', 'fdatasync', 'rename', 'renameat', 'renameat2'];

/** Runs a program to its end. @returns the calls that write, in their order, descriptors with their paths */
export async function traced(
  argv: readonly string[],
  options: RunOptions = {},
): Promise<Finished & { calls: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'cms-trace-'));
  const file = join(folder, 'trace');
  try {
    const finished = await run(
      'strace',
      [
        '-f',
        '--seccomp-bpf',
        '-y',
        '-s',
        '256',
        '-e',
        `trace=${WRITING.map((call) => `?${call}`).join(',')}`,
        '-o',
        file,
        ...argv,
      ],
      options,
    );
    return { ...finished, calls: (await readFile(file, 'utf8')).split('\n') };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * What is not durable of the files that were renamed into `folder` before the program said `word` on stdout: each has to
 * be on the disk before it has its name, and the name before anybody hears of it.
 */
export function undurable(
  calls: readonly string[],
  folder: string,
  word: string,
): { renamed: number; problems: string[] } {
  const problems: string[] = [];
  const said = calls.findIndex((call) => /\bwritev?\(1</.test(call) && call.includes(word));
  if (said < 0) problems.push(`"${word}" was not said`);
  const before = calls.slice(0, said);
  const renames = before.flatMap((call, at) => {
    const [, from = '', to = ''] = /\brename(?:at2?)?\(.*?"([^"]+)".*?"([^"]+)"/.exec(call) ?? [];
    return isIn(to, folder) ? [{ at, from: nameOf(from), to: nameOf(to) }] : [];
  });
  for (const { at, from, to } of renames) {
    const content = before.slice(0, at).filter((call) => call.includes(`${folder}/${from}>`));
    if (!isSync(content.at(-1))) problems.push(`${to} has its name before its content is on the disk`);
    const isNamed = before.slice(at).some((call) => isSync(call) && call.includes(`<${folder}>`));
    if (!isNamed) problems.push(`the name ${to} is not on the disk`);
  }
  return { renamed: renames.length, problems };
}

/** Also by way of a descriptor, `/proc/self/fd/20/name`. */
function isIn(path: string, folder: string): boolean {
  return (
    path.startsWith(`${folder}/`) ||
    /^\/proc\/(?:self|\d+)\/fd\/\d+\//.test(path) ||
    (path !== '' && !path.includes('/'))
  );
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function isSync(call = ''): boolean {
  return /\bf(?:data)?sync\(/.test(call);
}
