/** The programs that measure: in C where there is a compiler, else in Node. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAMS = ['timer', 'client', 'server', 'load'] as const;
type NativeProgram = (typeof PROGRAMS)[number];

export interface Tools {
  /** Compiled programs; undefined without a compiler. */
  native: Record<NativeProgram, string> | undefined;
  /** What the figures of the socket were measured with. */
  loadGenerator: 'C' | 'Node';
}

export function peer(name: string): string {
  return fileURLToPath(new URL(`peers/${name}`, import.meta.url));
}

/** Compiles the programs into `folder`. A compiler that is there and fails is an error. */
export function prepareTools(folder: string): Tools {
  const compiler = ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0);
  if (compiler === undefined) return { native: undefined, loadGenerator: 'Node' };
  mkdirSync(folder, { recursive: true });
  const compiled = PROGRAMS.map((name) => [name, compile(compiler, name, folder)] as const);
  return { native: Object.fromEntries(compiled) as Record<NativeProgram, string>, loadGenerator: 'C' };
}

function compile(compiler: string, name: NativeProgram, folder: string): string {
  const source = fileURLToPath(new URL(`native/${name}.c`, import.meta.url));
  const program = join(folder, name);
  const { status, stderr } = spawnSync(compiler, ['-O2', '-o', program, source], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${compiler} cannot compile ${source}: ${stderr}`);
  return program;
}
