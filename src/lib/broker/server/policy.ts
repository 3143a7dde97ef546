/** Who may have what on which socket. Pure. */
import type { Account } from '../../accounts/account.ts';
import { CmsError } from '../../core/errors.ts';
import type { PeerCredentials } from '../../os/libc.ts';
import { requireProtocol } from '../../tokens/failures.ts';
import type { SocketSettings } from '../../config/settings.ts';
import { type Destination, requireOwnServer } from './destination.ts';
import type { TokenLine } from '../wire.ts';

/** A socket as it is served: the settings, with names resolved. */
export interface SocketPolicy extends Omit<SocketSettings, 'file'> {
  /** Only the daemon's own user and root, everything allowed, administration included. */
  private: boolean;
  uids?: number[];
  gid?: number;
}

/** Whether this peer may ask at all. An unknown peer is judged by the file mode alone, which a private socket has. */
export function mayConnect(policy: SocketPolicy, peer: PeerCredentials | undefined, ownUid: number): boolean {
  if (peer === undefined) return policy.uids === undefined;
  if (peer.uid === 0 || peer.uid === ownUid) return true;
  if (policy.private) return false;
  return policy.uids?.includes(peer.uid) ?? true;
}

/** Administration is for the private socket, and for peers that are known to be the owner or root. */
export function mayAdminister(policy: SocketPolicy, peer: PeerCredentials | undefined, ownUid: number): boolean {
  return policy.private && (peer === undefined || peer.uid === 0 || peer.uid === ownUid);
}

/**
 * Whether this socket hands out what is asked for.
 * @param destination the server that the request names
 * @throws CmsError `access_denied`, `protocol_not_granted`
 */
export function requirePermission(
  policy: SocketPolicy,
  line: TokenLine,
  account: Account,
  destination?: Destination,
): void {
  if (policy.accounts !== undefined && !policy.accounts.includes(account.address)) {
    throw denied(policy, `nothing for ${account.address}`);
  }
  if (policy.protocols !== undefined && !policy.protocols.includes(line.protocol)) {
    throw denied(policy, `nothing for ${line.protocol.toUpperCase()}`);
  }
  // "ready" promises that a login can be tried: for such an account, with the password.
  const isPassword = line.form === 'password' || (line.form === 'ready' && account.kind === 'password');
  if (isPassword && !policy.passwords) throw denied(policy, 'no app passwords');
  requireProtocol(account, line.protocol);
  // The owner may use a token anywhere; others are led here by configuration that is not the owner's.
  if (!policy.private) requireOwnServer(destination, account, line.protocol);
}

function denied({ path }: SocketPolicy, what: string): CmsError {
  return new CmsError('access_denied', `the socket ${path} hands out ${what}`, {
    suggestions: ['cms status   # shows what each socket may hand out'],
  });
}
