/** Hands the command line to the framework. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { flush, type Interfaces, Plugin, run, settings } from '@oclif/core';
import { requireCommand, withoutSynonyms } from './unknown-command.ts';
import { patientStderr } from '../../lib/os/stderr.ts';
import { endUnprinted, reportStartFailure } from './errors.ts';

export interface Program {
  /** The folder of the package; commands and manifest lie where `pjson.oclif` says, below it. */
  root: string;
  pjson: Interfaces.PJSON;
}

/** Runs one of the built commands. They are known by `oclif.manifest.json`, so that only the one that runs is loaded. */
export async function runBuilt(argv: readonly string[], program: Program): Promise<void> {
  // Where NODE_ENV is "development" the framework would look for TypeScript.
  settings.enableAutoTranspile = false;
  const manifest = async () => Object.keys(await readManifest(program));
  await finish(start(argv, program), argv, manifest);
}

/** Runs the sources as they are, whatever a manifest says. */
export async function runSources(argv: readonly string[], program: Program): Promise<void> {
  const plugin = await sourcesOf(program);
  const running = start(argv, { ...program, plugins: new Map([[plugin.name, plugin]]) });
  await finish(running, argv, () => plugin.commandIDs);
}

/** The commands as the sources have them. */
export async function sourcesOf({ root, pjson }: Program): Promise<Plugin> {
  const globPatterns = ['**/*.ts', '!base.ts'];
  const commands = { strategy: 'pattern' as const, target: './src/commands', globPatterns };
  return pluginOf({
    root,
    pjson: { ...pjson, oclif: { ...pjson.oclif, commands, helpClass: './src/cli/oclif/help.ts' } },
  });
}

/** What the commands say of themselves, whatever a manifest says. */
export async function pluginOf({ root, pjson }: Program): Promise<Plugin> {
  const plugin = new Plugin({ root, pjson, isRoot: true, ignoreManifest: true, errorOnManifestCreate: true });
  await plugin.load();
  return plugin;
}

async function readManifest({ root }: Program): Promise<Interfaces.Manifest['commands']> {
  const text = await readFile(join(root, 'oclif.manifest.json'), 'utf8');
  return (JSON.parse(text) as Interfaces.Manifest).commands;
}

async function start(argv: readonly string[], program: Program & { plugins?: Map<string, Plugin> }): Promise<unknown> {
  requireCommand(argv, Object.keys(program.pjson.oclif.topics ?? {}));
  return run(withoutSynonyms(argv), program);
}

/** @param commandIds asked for where there is no such command */
async function finish(
  running: Promise<unknown>,
  argv: readonly string[],
  commandIds: () => Promise<string[]> | string[],
): Promise<void> {
  // Instead of the framework's own, which throws.
  process.stdout
    .removeAllListeners('error')
    .once('error', endUnprinted)
    .on('error', () => undefined);
  patientStderr();
  await running.catch((error: unknown) => reportStartFailure(error, argv, commandIds)).finally(() => flush());
}
