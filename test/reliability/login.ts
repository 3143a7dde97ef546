/** A sign-in under way: `cms account add` that has printed its URL and waits for the browser. */
import { connect, type Socket } from 'node:net';
import { spawnCms } from '../support/environment.ts';
import type { RunningProcess } from '../support/processes.ts';
import type { World } from '../support/world.ts';

export interface Login {
  process: RunningProcess;
  url: string;
  port: number;
}

export async function beginLogin(world: World, address: string): Promise<Login> {
  const argv = ['account', 'add', address, ...world.serverFlags, '--no-test', '--flow', 'browser', '--no-browser'];
  const process = spawnCms(argv, { env: world.env });
  const [url] = await process.waitFor(/^http:\/\/127\.0\.0\.1:\d+\/auth\?\S+$/m, { stream: 'stderr' });
  const { port } = new URL(new URL(url).searchParams.get('redirect_uri') ?? '');
  return { process, url, port: Number(port) };
}

/** Opens TCP connections that say nothing. */
export function idleConnections(port: number, count: number): Promise<Socket[]> {
  const one = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket));
      socket.once('error', reject);
      socket.on('error', () => undefined);
    });
  return Promise.all(Array.from({ length: count }, one));
}

/** Whether anybody listens there. */
export function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
