/** Which user of this computer is at the other end of a TCP connection over loopback, from the kernel's own table. */
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { Environment } from '../../os/paths.ts';

export interface Connection {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
  localAddress?: string | undefined;
  localPort?: number | undefined;
}

/** @returns undefined where the kernel cannot tell: another network namespace, another user namespace, no /proc */
export function uidOfPeer(connection: Connection): number | undefined {
  return uidsOfPeers([connection])[0];
}

/** The same for many, with one look at the table. */
export function uidsOfPeers(connections: readonly Connection[]): (number | undefined)[] {
  // In a user namespace of its own, all users from outside look alike.
  if (!/^\s*0\s+0\s+4294967295\s*$/.test(textOf('/proc/self/uid_map'))) return connections.map(() => undefined);
  return uidsIn(`${textOf('/proc/net/tcp')}\n${textOf('/proc/net/tcp6')}`, connections);
}

/** The users of the sockets whose near ends are our far ends, in the text of `/proc/net/tcp` and `tcp6`. Pure. */
export function uidsIn(table: string, connections: readonly Connection[]): (number | undefined)[] {
  const uids = new Map<string, number>();
  for (const line of table.split('\n')) {
    const [, local = '', remote = '', , , , , uid = ''] = line.trim().split(/\s+/);
    const ends = `${local} ${remote}`;
    if (/^\d+$/.test(uid) && !uids.has(ends)) uids.set(ends, Number(uid));
  }
  return connections.map(({ remoteAddress, remotePort, localAddress, localPort }) => {
    const far = endpoints(localAddress, localPort);
    const ends = endpoints(remoteAddress, remotePort).flatMap((near) => far.map((each) => `${near} ${each}`));
    return ends.map((each) => uids.get(each)).find((uid) => uid !== undefined);
  });
}

/** Whether that is another person than the one cms works for. Root sees everything anyway. */
export function isForeign(uid: number | undefined, env: Environment, own = process.getuid?.()): boolean {
  return uid !== undefined && own !== undefined && uid !== 0 && uid !== own && String(uid) !== env.SUDO_UID;
}

/** `0100007F:1F90`, words in the byte order of the host; an address of IPv4 may stand in the table of IPv6, too. */
function endpoints(address: string | undefined, port: number | undefined): string[] {
  if (address === undefined || port === undefined) return [];
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const plain = address.replace(/^::ffff:/i, '');
  if (!isIPv6(plain)) {
    const word = wordOf(plain.split('.').map(Number));
    return [word + suffix, `${wordOf([0, 0, 0, 0]).repeat(2)}${wordOf([0, 0, 0xff, 0xff])}${word}${suffix}`];
  }
  if (plain !== '::1') return [];
  return [`${wordOf([0, 0, 0, 0]).repeat(3)}${wordOf([0, 0, 0, 1])}${suffix}`];
}

function wordOf(bytes: readonly number[]): string {
  const word = new Uint32Array(new Uint8Array(bytes).buffer)[0] ?? 0;
  return word.toString(16).toUpperCase().padStart(8, '0');
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
