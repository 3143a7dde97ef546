/** Somebody else on this machine: the user `games`, which every Debian has. Needs sudo without a password. */
import type { Finished, RunningProcess, RunOptions } from '../support/processes.ts';
import { run, start } from '../support/processes.ts';

export const OTHER_USER = 'games';

const sudo = (argv: readonly string[]): string[] => ['-n', '-u', OTHER_USER, '--', ...argv];

export function asOther(argv: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return run('sudo', sudo(argv), { cwd: '/', ...options });
}

/** Ends with `stop()`: sudo passes SIGTERM on. */
export function startAsOther(argv: readonly string[]): RunningProcess {
  return start('sudo', sudo(argv), { cwd: '/' });
}

/** A program that binds a TCP port, says `bound` or the error's code, and goes on if it has the port. */
export function squatter(host: string, port: number): string[] {
  const program = `
    const server = require('node:net').createServer((socket) => socket.destroy());
    server.on('error', (error) => console.log(error.code));
    server.listen({ host: ${JSON.stringify(host)}, port: ${port}, ipv6Only: ${host.includes(':')} }, () => console.log('bound'));`;
  return [process.execPath, '-e', program];
}
