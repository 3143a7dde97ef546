/** Load on a socket from a process of its own, and what it costs the server. */
import { run } from '../test/support/processes.ts';
import { cpuSeconds, type Server } from './servers.ts';
import { peer, type Tools } from './tools.ts';

export interface Load {
  request: string;
  answerBytes: number;
  requests: number;
  clients: number;
  /** Connections that are open meanwhile and say nothing. */
  silent?: number;
}

export interface Measured {
  perSecond: number;
  /** Microseconds. */
  p50: number;
  p99: number;
  /** Of the server, in microseconds for each request. */
  cpu: number;
}

/** @throws Error when an answer was not the right one */
export async function putLoad(server: Server, load: Load, { native }: Tools): Promise<Measured> {
  const { request, answerBytes, requests, clients, silent = 0 } = { ...load, ...server.load };
  const args = [server.socket, request, ...[answerBytes, requests, clients, silent].map(String)];
  const [file, argv] = native === undefined ? [process.execPath, [peer('load.mjs'), ...args]] : [native.load, args];
  const before = cpuSeconds(server.pid);
  const { status, stdout, stderr } = await run(file, argv, { env: {}, timeoutMs: 150_000 });
  const cpu = ((cpuSeconds(server.pid) - before) * 1e6) / requests;
  if (status !== 0) throw new Error(`load on ${server.name} ended with ${String(status)}: ${stdout}${stderr}`);
  const { perSecond, p50, p99 } = JSON.parse(stdout) as Omit<Measured, 'cpu'>;
  return { perSecond, p50, p99, cpu };
}
