/**
 * The same sources as a plain oclif program: each file by itself, commands found by oclif's own pattern, no bundle, no
 * manifest, no way past the framework. What the bundle is worth is measured against this.
 */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const ENTRY = `#!/usr/bin/env node
import { execute } from '@oclif/core';
await execute({ dir: import.meta.url });
`;

interface Manifest {
  oclif: { commands: unknown; helpClass: string };
}

/** @returns the program's file */
export function makeUnbundled(folder: string): string {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  for (const file of sources) if (/(?<!\.d)\.ts$/.test(file)) transpile(file, join(folder, 'dist'));
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
  manifest.oclif.commands = {
    strategy: 'pattern',
    target: './dist/commands',
    globPatterns: ['**/*.js', '!base.*'],
  };
  manifest.oclif.helpClass = './dist/cli/oclif/help.js';
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'bin'));
  const program = join(folder, 'bin', 'run.js');
  writeFileSync(program, ENTRY);
  return program;
}

function transpile(file: string, into: string): void {
  const source = join(ROOT, 'src', file);
  const target = join(into, file.replace(/\.ts$/, '.js'));
  mkdirSync(dirname(target), { recursive: true });
  const { outputText } = ts.transpileModule(readFileSync(source, 'utf8'), {
    fileName: source,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  });
  writeFileSync(target, outputText);
}
