/** Where a broker of this user listens. Loaded by every `cms token`: node builtins only. */
import { lstatSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { Paths } from '../paths.ts';

/**
 * The socket to ask: the private one, unless nothing is there and the environment does not say where the session is, as
 * under cron, a timer of the system and `sudo -u`. The broker of the session is then asked at its usual place.
 */
export function brokerSocket({ privateSocket, sessionSocket }: Pick<Paths, 'privateSocket' | 'sessionSocket'>): string {
  if (sessionSocket === undefined || look(privateSocket)?.isSocket()) return privateSocket;
  return isOwnSession(dirname(dirname(sessionSocket))) && look(sessionSocket)?.isSocket()
    ? sessionSocket
    : privateSocket;
}

/** Made by logind for this user: nobody else can put anything there. */
function isOwnSession(folder: string): boolean {
  const stat = look(folder);
  return stat !== undefined && stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0;
}

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    // A folder that is closed; whoever connects is told.
    return undefined;
  }
}
