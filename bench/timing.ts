/** Whole processes, from their start to their end: each command once in every round. */
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import type { Environment } from '../test/support/processes.ts';
import type { Tools } from './tools.ts';

export interface Command {
  id: string;
  argv: readonly string[];
  env: Environment;
  /** Which exit statuses are right. Default: 0. */
  statuses?: readonly number[];
}

export interface Timed {
  /** Milliseconds, one for each round. */
  times: number[];
  /** Largest resident size, in MB; not measured without a compiler. */
  peakMB: number | undefined;
}

const WARM_UP = 2;
/** Bytes; ten thousand accounts fill more than the usual megabyte. */
const LONGEST_OUTPUT = 64 * 1024 * 1024;

/** @throws Error for a command that fails or prints nothing: its time would mean nothing */
export function timeCommands(commands: readonly Command[], rounds: number, tools: Tools): Map<string, Timed> {
  for (const command of commands) rehearse(command);
  const runs =
    tools.native === undefined ? withNode(commands, rounds) : withTimer(tools.native.timer, commands, rounds);
  const counted = runs.filter(({ round }) => round >= WARM_UP);
  return new Map(
    commands.map((command, index) => {
      const own = counted.filter((run) => run.index === index);
      const wrong = own.find(({ status }) => !(command.statuses ?? [0]).includes(status));
      if (wrong !== undefined) throw new Error(`${command.id} ended with ${wrong.status}`);
      const peaks = own.flatMap(({ peakMB }) => (peakMB === undefined ? [] : [peakMB]));
      return [
        command.id,
        { times: own.map(({ ms }) => ms), peakMB: peaks.length > 0 ? Math.max(...peaks) : undefined },
      ];
    }),
  );
}

interface Run {
  round: number;
  index: number;
  ms: number;
  status: number;
  peakMB?: number;
}

function rehearse({ id, argv: [file = '', ...args], env, statuses = [0] }: Command): void {
  const { status, stdout, stderr } = spawnSync(file, args, { env, encoding: 'utf8', maxBuffer: LONGEST_OUTPUT });
  const silent = stdout === '' && !args.includes('-e');
  if (statuses.includes(status ?? -1) && !silent) return;
  throw new Error(`${id} ended with ${String(status)}: ${stderr}`);
}

function withTimer(timer: string, commands: readonly Command[], rounds: number): Run[] {
  const input = commands.map(({ argv, env }) => [...variables(env), '--', ...argv].join('\t')).join('\n');
  const options = { input: `${input}\n`, encoding: 'utf8', maxBuffer: LONGEST_OUTPUT } as const;
  const { status, stdout, stderr } = spawnSync(timer, [String(rounds + WARM_UP)], options);
  if (status !== 0) throw new Error(`the timer ended with ${String(status)}: ${stderr}`);
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [round = 0, index = 0, nanoseconds = 0, kilobytes = 0, exit = -1] = line.split(' ').map(Number);
      return { round, index, ms: nanoseconds / 1e6, status: exit, peakMB: kilobytes / 1024 };
    });
}

function variables(env: Environment): string[] {
  return Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
}

/** Starting a process takes Node itself a millisecond or two, which is added to all of them alike. */
function withNode(commands: readonly Command[], rounds: number): Run[] {
  const runs: Run[] = [];
  for (let round = 0; round < rounds + WARM_UP; round++) {
    for (let turn = 0; turn < commands.length; turn++) {
      const index = (round + turn) % commands.length;
      const { argv: [file = '', ...args] = [], env = {} } = commands[index] ?? {};
      const began = performance.now();
      const { status } = spawnSync(file, args, { env, stdio: 'ignore' });
      runs.push({ round, index, ms: performance.now() - began, status: status ?? -1 });
    }
  }
  return runs;
}
