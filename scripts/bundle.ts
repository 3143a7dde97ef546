/**
 * Bundles the program into dist/program, a file for each command and what they share, and writes oclif.manifest.json.
 * `npm run build` does it. An argument names another folder than this one to write into, which has a package.json.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Interfaces } from '@oclif/core';
import { build, type BuildOptions, type BuildResult, transform } from 'esbuild';
import { pluginOf } from '../src/cli/oclif/main.ts';
import { FAST, FRAMEWORK, TOKEN_ALONE } from './entry-points.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Native, or with files of their own beside them; the last ones only ever run where the sources are. */
const EXTERNAL = ['koffi', '@napi-rs/keyring', 'open', 'typescript', 'ts-node', 'tsx', 'pnpapi'];

async function bundle(folder: string): Promise<void> {
  const outdir = join(folder, 'dist', 'program');
  const options: BuildOptions = {
    absWorkingDir: ROOT,
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    external: EXTERNAL,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
  };
  const results = await Promise.all([
    build({ ...options, ...(await wholeProgram()) }),
    build({ ...options, ...withoutFramework() }),
  ]);
  const written = results.flatMap(({ metafile }) => Object.keys(metafile?.outputs ?? {}));
  const split = await writeAsCommonJs(await build({ ...options, ...tokenAlone() }));
  await removeOthers(outdir, new Set([...written, ...split].map((file) => resolve(ROOT, file))));
  await writeManifest(folder);
}

/** What an older build left, and only now: the program can be run while it is built. */
async function removeOthers(folder: string, written: ReadonlySet<string>): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  await Promise.all(files.filter((file) => !written.has(file)).map((file) => rm(file)));
}

/** Each entry is its own file; what several need is shared, so that there is one of each class. */
async function wholeProgram(): Promise<BuildOptions> {
  const files = await readdir(join(ROOT, 'src', 'commands'), { recursive: true });
  const commands = files.filter((file) => file.endsWith('.ts') && file !== 'base.ts');
  return {
    format: 'esm',
    splitting: true,
    // All in one folder: keyring.ts looks for its helper beside itself.
    chunkNames: '[name]-[hash]',
    entryPoints: [
      ...entryPoints(FRAMEWORK),
      ...commands.map((file) => ({ in: `./src/commands/${file}`, out: `commands/${file.replace(/\.ts$/, '')}` })),
    ],
    // For the CommonJS in it.
    banner: {
      js: "import { createRequire as toRequire } from 'node:module'; const require = toRequire(import.meta.url);",
    },
  };
}

function entryPoints(files: Readonly<Record<string, string>>): { in: string; out: string }[] {
  return Object.entries(files).map(([out, file]) => ({ in: file, out }));
}

/** One file each, which is the fastest for who needs all of it. */
function withoutFramework(): BuildOptions {
  return {
    format: 'cjs',
    // An import() would start the loader of ES modules after all.
    supported: { 'dynamic-import': false },
    entryPoints: entryPoints(FAST),
    outExtension: { '.js': '.cjs' },
    // Node scans the whole file before its first line runs: 4 ms of 60 for comments and indentation. Names stay.
    minifyWhitespace: true,
    define: META,
    banner: { js: META_BANNER },
  };
}

/** `import.meta.url`, made when it is asked for, which a call that the broker answers never does. */
const META = { 'import.meta.url': 'importMeta.url' };
const META_BANNER = "const importMeta = { get url() { return require('node:url').pathToFileURL(__filename).href; } };";

/** What exchanges need lies apart: most calls are about a fresh token, and would read it for nothing. */
function tokenAlone(): BuildOptions {
  return {
    format: 'esm',
    splitting: true,
    write: false,
    sourcemap: 'inline',
    chunkNames: '[name]-[hash]',
    entryPoints: [{ in: TOKEN_ALONE, out: 'token-alone' }],
    outExtension: { '.js': '.cjs' },
  };
}

/** esbuild splits ES modules only, and Node starts them slower. @returns the files that were written */
async function writeAsCommonJs({ outputFiles = [] }: BuildResult): Promise<string[]> {
  const files = await Promise.all(
    outputFiles.map(async ({ path, text }) => {
      const { code, map } = await transform(text, {
        format: 'cjs',
        platform: 'node',
        target: 'node20.19',
        supported: { 'dynamic-import': false },
        minifyWhitespace: true,
        sourcemap: 'external',
        sourcesContent: false,
        sourcefile: basename(path),
        define: META,
        banner: META_BANNER,
      });
      await writeFile(path, `${code}//# sourceMappingURL=${basename(path)}.map\n`);
      await writeFile(`${path}.map`, map);
      return [path, `${path}.map`];
    }),
  );
  return files.flat();
}

async function writeManifest(root: string): Promise<void> {
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Interfaces.PJSON;
  // Under tsx the framework would look for the sources of the commands.
  process.env.OCLIF_TS_NODE = '0';
  const { manifest } = await pluginOf({ root, pjson });
  writeFileSync(join(root, 'oclif.manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

await bundle(resolve(process.argv[2] ?? ROOT));
