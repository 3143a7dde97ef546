/** Hands the command line to the framework. */
import { flush, type Interfaces, Plugin, run, settings } from '@oclif/core';
import { endUnprinted, reportStartFailure } from './oclif-errors.ts';

export interface Program {
  /** The folder of the package; commands and manifest lie where `pjson.oclif` says, below it. */
  root: string;
  pjson: Interfaces.PJSON;
}

/** Runs one of the built commands. They are known by `oclif.manifest.json`, so that only the one that runs is loaded. */
export async function runBuilt(argv: readonly string[], program: Program): Promise<void> {
  // Where NODE_ENV is "development" the framework would look for TypeScript.
  settings.enableAutoTranspile = false;
  await finish(run([...argv], program), argv);
}

/** Runs the sources as they are, whatever a manifest says. */
export async function runSources(argv: readonly string[], program: Program): Promise<void> {
  await finish(
    sourcesOf(program).then((plugin) => run([...argv], { ...program, plugins: new Map([[plugin.name, plugin]]) })),
    argv,
  );
}

/** The commands as the sources have them. */
export async function sourcesOf({ root, pjson }: Program): Promise<Plugin> {
  const globPatterns = ['**/*.ts', '!base.ts'];
  const commands = { strategy: 'pattern' as const, target: './src/commands', globPatterns };
  return pluginOf({ root, pjson: { ...pjson, oclif: { ...pjson.oclif, commands } } });
}

/** What the commands say of themselves, whatever a manifest says. */
export async function pluginOf({ root, pjson }: Program): Promise<Plugin> {
  const plugin = new Plugin({ root, pjson, isRoot: true, ignoreManifest: true, errorOnManifestCreate: true });
  await plugin.load();
  return plugin;
}

async function finish(running: Promise<unknown>, argv: readonly string[]): Promise<void> {
  // Before the framework's own, which throws.
  process.stdout.prependListener('error', endUnprinted);
  await running.catch((error: unknown) => reportStartFailure(error, argv)).finally(() => flush());
}
