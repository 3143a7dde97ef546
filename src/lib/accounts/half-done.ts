/**
 * A sign-in changes two files, the sealed one and `accounts.json`. What it is about is noted before the first, and
 * forgotten after the second: after a crash in between, the grant id says whether the sealed file is the new one.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../os/paths.ts';
import {
  readFileIfAny,
  readTextNowIfAny,
  removeFile,
  requirePrivateFolder,
  writeFileDurable,
} from '../os/files/files.ts';
import { unsealedHeader } from '../vault/seal.ts';
import { sealedName } from '../vault/vault.ts';
import type { Account } from './account.ts';
import { faultOfAccount } from './shape.ts';

export interface HalfDone {
  /** Whether there is a note of this user's. */
  exists: () => boolean;
  note: (about: { account: Account; grant_id: string }) => Promise<void>;
  forget: () => Promise<void>;
  /** The account whose grant was stored and that was not; undefined where nothing has to be finished. */
  read: () => Promise<Account | undefined>;
}

export function halfDone({ stateDir, vaultDir }: Paths): HalfDone {
  const path = join(stateDir, 'sign-in.json');
  return {
    exists: () => {
      try {
        return lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.();
      } catch {
        // Nothing can be read in a folder that is closed to us; the caller that needs it reports that.
        return false;
      }
    },
    note: (about) => writeFileDurable(path, `${JSON.stringify(about)}\n`),
    forget: () => removeFile(path),
    read: async () => {
      for (const folder of [stateDir, vaultDir]) requirePrivateFolder(folder);
      const about = parse((await readFileIfAny(path))?.toString('utf8') ?? '');
      if (about === undefined) return undefined;
      const sealed = join(vaultDir, `${sealedName(about.account.address)}.sealed`);
      const text = readTextNowIfAny(sealed);
      const stored = text === undefined ? undefined : unsealedHeader(text, sealed).grant_id;
      return stored === about.grant_id ? about.account : undefined;
    },
  };
}

/** It is written whole or not at all: anything else is not ours. */
function parse(text: string): { account: Account; grant_id: string } | undefined {
  try {
    const { account, grant_id } = JSON.parse(text) as { account?: Account; grant_id?: unknown };
    if (account === undefined || typeof grant_id !== 'string') return undefined;
    return faultOfAccount(account.address, account) === undefined ? { account, grant_id } : undefined;
  } catch {
    return undefined;
  }
}
