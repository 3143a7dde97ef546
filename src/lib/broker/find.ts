/** Where a broker of this user listens. Loaded by every `cms token`: node builtins only. */
import { dirname } from 'node:path';
import type { Paths } from '../os/paths.ts';
import { lookAt } from '../os/look.ts';

/**
 * The socket to ask: the private one, unless nothing is there and the environment does not say where the session is, as
 * under cron, a timer of the system and `sudo -u`. The broker of the session is then asked at its usual place.
 */
export function brokerSocket({ privateSocket, sessionSocket }: Pick<Paths, 'privateSocket' | 'sessionSocket'>): string {
  if (sessionSocket === undefined || lookAt(privateSocket)?.isSocket()) return privateSocket;
  return isOwnSession(dirname(dirname(sessionSocket))) && lookAt(sessionSocket)?.isSocket()
    ? sessionSocket
    : privateSocket;
}

/** Made by logind for this user: no other user can put anything there. */
function isOwnSession(folder: string): boolean {
  const stat = lookAt(folder);
  return stat !== undefined && stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0;
}
