/** A grant as a process keeps it: what serves and decides, and nothing that only an exchange needs. */
import type { Secret } from '../core/secret.ts';
import type { GrantHeader, GrantRecord } from '../vault/grant.ts';

export interface KnownGrant extends GrantHeader {
  /** Absent although there are times of it: it has made room for others, and is read again when a client asks. */
  access_token?: Secret | undefined;
  /** An app password. */
  password?: Secret;
  /** Whether there is a refresh token; it is read from the vault for each exchange. */
  refreshable: boolean;
  /** Whether an exchange was cut off between request and answer. */
  attempted: boolean;
}

/** Whether the grant has an access token that would have to be read again. */
export function isShortened({ access_token, expires_at }: KnownGrant): boolean {
  return access_token === undefined && expires_at !== undefined;
}

/** Pure. */
export function knownOf({ secrets, ...header }: GrantRecord): KnownGrant {
  const { access_token, password, refresh_token, attempt } = secrets;
  // Not spread: V8 then gives each object a shape of its own, which takes as much memory as what is in it.
  return Object.assign(
    header,
    { refreshable: refresh_token !== undefined, attempted: attempt !== undefined },
    access_token && { access_token },
    password && { password },
  );
}
