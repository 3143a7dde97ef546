/** Servers on a UNIX socket, and what the kernel says about their processes. */
import { existsSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { CMS_PROGRAM } from '../test/support/environment.ts';
import { type RunningProcess, start } from '../test/support/processes.ts';
import type { Home } from './home.ts';
import { peer, type Tools } from './tools.ts';

const START_TIMEOUT_MS = 60_000;

export interface Server extends AsyncDisposable {
  name: string;
  socket: string;
  pid: number;
  process: RunningProcess;
  /** What it is asked and how much it answers, where that is not what cms understands. */
  load?: { request: string; answerBytes: number };
}

/** Log and audit as shipped. */
export function startCms(home: Home): Promise<Server> {
  return serverOf('cms serve', home.socket, start(process.execPath, [CMS_PROGRAM, 'serve'], { env: home.env }));
}

export function startBareNode(folder: string, bytes: number): Promise<Server> {
  const socket = join(folder, 'bare.sock');
  const env = { PATH: process.env.PATH };
  return serverOf(
    'bare node:net',
    socket,
    start(process.execPath, [peer('server.cjs'), socket, String(bytes)], { env }),
  );
}

export async function startEpoll(folder: string, bytes: number, { native }: Tools): Promise<Server | undefined> {
  if (native === undefined) return undefined;
  const socket = join(folder, 'epoll.sock');
  return serverOf('C with epoll', socket, start(native.server, [socket, String(bytes)], { env: {} }));
}

/** Resolves when the socket is there. */
export async function serverOf(name: string, socket: string, child: RunningProcess): Promise<Server> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!existsSync(socket)) {
    if (!child.running || performance.now() > deadline) throw new Error(`${name} does not start: ${child.stderr}`);
    await sleep(10);
  }
  return {
    name,
    socket,
    pid: child.pid,
    process: child,
    [Symbol.asyncDispose]: async () => {
      await child.stop();
    },
  };
}

/** One request. @returns undefined while nobody listens */
export function ask(socket: string, request: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const client = connect({ path: socket, allowHalfOpen: true }, () => client.end(request));
    client.setEncoding('latin1');
    client.on('data', (text: string) => (answer += text));
    client.on('end', () => resolve(answer));
    client.on('error', () => resolve(undefined));
  });
}

/** Seconds of processor that the process has used, the kernel's included. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / clockTicks();
}

let ticks: number | undefined;
function clockTicks(): number {
  ticks ??= Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100;
  return ticks;
}

export interface Memory {
  rssMB: number;
  /** Pages that are shared count as shares. The broker hides its own from all but root. */
  pssMB: number | undefined;
}

export function memoryOf(pid: number): Memory {
  const rss = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { rssMB: Number(rss) / 1024, pssMB: pssOf(pid) };
}

function pssOf(pid: number): number | undefined {
  try {
    return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024;
  } catch {
    return undefined;
  }
}
