/**
 * `npm run test:mutation -- [--only TEXT] [--jobs N]`: makes one line of the sources wrong at a time, in a copy, and
 * runs the tests that have to notice. Exits with 1 when they do not, or when a line is not there any more.
 */
import { execFile, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { mutated, type Mutation, type Outcome, type Run, scoreOf, verdictOf } from './mutation.ts';
import { MUTATIONS } from './mutations.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** What tests and sources read, and the built program. */
const PARTS = ['src', 'test', 'scripts', 'bin', 'doc', 'docs', 'dist', 'package.json', 'tsconfig.json'];
const MOST_JOBS = 4;
const TIMEOUT_MS = 60_000;

const { values } = parseArgs({ options: { only: { type: 'string', default: '' }, jobs: { type: 'string' } } });
const chosen = MUTATIONS.filter((each) => JSON.stringify(each).includes(values.only));
const jobs = Number(values.jobs ?? Math.min(availableParallelism(), MOST_JOBS));
process.exitCode = (await main()) ? 0 : 1;

async function main(): Promise<boolean> {
  const began = performance.now();
  const copies = await Promise.all(Array.from({ length: Math.max(1, Math.min(jobs, chosen.length)) }, copyOfTree));
  try {
    const red = await unmutated(copies);
    if (red.length > 0) {
      console.log(`these do not pass as they are, so they can show nothing:\n${red.join('\n')}`);
      return false;
    }
    const outcomes: Outcome[] = [];
    await sharedOut(copies, chosen, async (copy, mutation) => {
      const outcome = await tryOne(copy, mutation);
      outcomes.push(outcome);
      if (outcome.verdict !== 'killed') console.log(lineOf(outcome));
    });
    console.log(`${scoreOf(outcomes)} in ${Math.round((performance.now() - began) / 1000)} s`);
    return outcomes.length > 0 && outcomes.every(({ verdict }) => verdict === 'killed');
  } finally {
    await Promise.all(copies.map((copy) => rm(copy, { recursive: true })));
  }
}

/** Each item is worked on in whichever copy is free. */
async function sharedOut<T>(
  copies: readonly string[],
  items: readonly T[],
  work: (copy: string, item: T) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const worker = async (copy: string): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(copy, item);
  };
  await Promise.all(copies.map(worker));
}

async function copyOfTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'cms-mutation-'));
  for (const part of PARTS) await cp(join(ROOT, part), join(copy, part), { recursive: true }).catch(ignoreMissing);
  await symlink(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** The tests without any mutation. @returns what the red ones said */
async function unmutated(copies: readonly string[]): Promise<string[]> {
  const sets = new Map(chosen.map((each) => [JSON.stringify([each.tests, each.grep]), each]));
  const red: string[] = [];
  await sharedOut(copies, [...sets.values()], async (copy, each) => {
    const run = await mocha(copy, each);
    if (verdictOf(run) !== 'survived') red.push(`${each.tests.join(' ')}\n${run.output.slice(-3000)}`);
  });
  return red;
}

async function tryOne(copy: string, mutation: Mutation): Promise<Outcome> {
  const began = performance.now();
  const done = (verdict: Outcome['verdict'], detail?: string): Outcome => ({
    mutation,
    verdict,
    seconds: (performance.now() - began) / 1000,
    ...(detail !== undefined && { detail }),
  });
  const path = join(copy, mutation.file);
  const source = await readFile(path, 'utf8').catch(() => '');
  const wrong = mutated(source, mutation);
  if (wrong === undefined) return done('stale');
  await writeFile(path, wrong);
  try {
    if (mutation.built) await build(copy);
    const run = await mocha(copy, mutation);
    const verdict = verdictOf(run);
    return verdict === 'broken' ? done(verdict, run.output.slice(-1000)) : done(verdict);
  } finally {
    await writeFile(path, source);
    if (mutation.built) await build(copy);
  }
}

async function build(cwd: string): Promise<void> {
  await promisify(execFile)(process.execPath, ['--import', 'tsx', 'scripts/bundle.ts'], { cwd });
}

function mocha(cwd: string, { tests, grep }: Mutation): Promise<Run> {
  const selection = grep === undefined ? [] : ['--grep', grep];
  const flags = ['--no-config', '--reporter', 'dot', '--no-color', '--timeout', '30000', '--exit', '--bail'];
  const argv = ['--import', 'tsx', 'node_modules/mocha/bin/mocha.js', ...flags, ...selection, ...tests];
  return new Promise((resolve, reject) => {
    // A group of its own, so that what a test started ends with it.
    const child = spawn(process.execPath, argv, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let timedOut = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    }
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // All of it has ended.
      }
    };
    const timer = setTimeout(() => {
      timedOut = true;
      end();
    }, TIMEOUT_MS);
    child.once('error', reject);
    child.once('exit', (status) => {
      clearTimeout(timer);
      end();
      resolve({ status, output, timedOut });
    });
  });
}

function lineOf({ mutation: { file, old, new: replacement }, verdict, detail }: Outcome): string {
  const change = verdict === 'stale' ? `not there once: ${old}` : `${old}\n      → ${replacement}`;
  return `${verdict}  ${file}\n      ${change}${detail === undefined ? '' : `\n${detail}`}`;
}
