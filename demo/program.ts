/**
 * The program that the demo runs: the one in this checkout if it is built and up to date, else one that is compiled
 * into the demo's own folder. So the checkout is never written to: it may belong to another user, and two demos may
 * run at the same time.
 */
import { type Dirent, existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Runner } from './runner.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Path of a `bin/run.js` that is up to date with the sources. */
export async function findProgram(): Promise<string | undefined> {
  const [sources, built] = await Promise.all([
    timesBelow(join(ROOT, 'src')),
    timesBelow(join(ROOT, 'dist', 'program')),
  ]);
  return Math.min(...built) >= Math.max(...sources) && built.length > 0 ? join(ROOT, 'bin', 'run.js') : undefined;
}

/** Bundles the sources into `folder`. Takes a second. */
export async function buildProgram(folder: string, runner: Runner): Promise<string> {
  await mkdir(join(folder, 'bin'), { recursive: true });
  const files = ['package.json', join('bin', 'package.json'), join('bin', 'run.js')];
  await Promise.all([
    ...files.map((file) => copyFile(join(ROOT, file), join(folder, file))),
    symlink(modulesFolder(), join(folder, 'node_modules')),
  ]);
  await runner.run([
    process.execPath,
    '--import',
    import.meta.resolve('tsx'),
    join(ROOT, 'scripts', 'bundle.ts'),
    folder,
  ]);
  return join(folder, 'bin', 'run.js');
}

/** In a workspace the dependencies may lie further up. */
function modulesFolder(): string {
  let folder = ROOT;
  while (!existsSync(join(folder, 'node_modules', '@oclif', 'core')) && folder !== dirname(folder))
    folder = dirname(folder);
  return join(folder, 'node_modules');
}

/** Times of the last change in milliseconds since the epoch, of all files below `folder`. */
async function timesBelow(folder: string): Promise<number[]> {
  const entries: Dirent[] = existsSync(folder) ? await readdir(folder, { recursive: true, withFileTypes: true }) : [];
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (file) => (await stat(file)).mtimeMs));
}
