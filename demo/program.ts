/**
 * The program that the demo runs: the one in this checkout if it is built and up to date, else one that is compiled
 * into the demo's own folder. So the checkout is never written to: it may belong to somebody else, and two demos may
 * run at once.
 */
import { type Dirent, existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Runner } from './runner.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Path of a `bin/run.js` that is up to date with the sources. */
export async function findProgram(): Promise<string | undefined> {
  const [sources, built] = await Promise.all([filesBelow(join(ROOT, 'src')), filesBelow(join(ROOT, 'dist'))]);
  const fresh = [...sources].every(([path, changed]) => (built.get(path.replace(/\.ts$/, '.js')) ?? 0) >= changed);
  return fresh ? join(ROOT, 'bin', 'run.js') : undefined;
}

/** Compiles the sources into `folder`. Takes some seconds. */
export async function buildProgram(folder: string, runner: Runner): Promise<string> {
  await mkdir(join(folder, 'bin'), { recursive: true });
  await Promise.all([
    copyFile(join(ROOT, 'package.json'), join(folder, 'package.json')),
    copyFile(join(ROOT, 'bin', 'run.js'), join(folder, 'bin', 'run.js')),
    symlink(modulesFolder(), join(folder, 'node_modules')),
  ]);
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const project = join(ROOT, 'tsconfig.build.json');
  await runner.run([process.execPath, compiler, '-p', project, '--outDir', join(folder, 'dist')]);
  return join(folder, 'bin', 'run.js');
}

/** In a workspace the dependencies may lie further up. */
function modulesFolder(): string {
  let folder = ROOT;
  while (!existsSync(join(folder, 'node_modules', '@oclif', 'core')) && folder !== dirname(folder))
    folder = dirname(folder);
  return join(folder, 'node_modules');
}

/** Times of the last change in milliseconds since the epoch, by path below `folder`. */
async function filesBelow(folder: string): Promise<Map<string, number>> {
  const entries: Dirent[] = existsSync(folder) ? await readdir(folder, { recursive: true, withFileTypes: true }) : [];
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const times = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs));
  return new Map(files.map((file, i) => [file.slice(folder.length), times[i] ?? 0]));
}
