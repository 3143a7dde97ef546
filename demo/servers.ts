/** The provider and the mail servers of the demo, all in this process and on loopback. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { trustedCertificate } from '../test/support/certificates.ts';
import { type ImapServer, startImap } from '../test/support/imap.ts';
import { type EmbeddedProvider, startProvider } from '../test/support/provider.ts';
import { startSubmission, type SubmissionServer } from '../test/support/submission.ts';
import type { Cleanup } from './cleanup.ts';

export const ADDRESS = 'jane@example.org';

export interface Servers {
  provider: EmbeddedProvider;
  submission: SubmissionServer;
  imap: ImapServer;
  /** The authority that signed the certificates of the mail servers. */
  caFile: string;
}

/** @param folder of the demo */
export async function startServers(cleanup: Cleanup, folder: string): Promise<Servers> {
  const provider = await startProvider({ clientId: 'cms-demo' });
  await cleanup.add(() => provider.stop());
  // Bearer tokens and nothing else, like the providers that the demo stands for.
  const submission = await startSubmission({ provider, mechanisms: ['XOAUTH2'] });
  await cleanup.add(() => submission.stop());
  const imap = await startImap({ provider, mechanisms: ['XOAUTH2'] });
  await cleanup.add(() => imap.stop());
  const caFile = join(folder, 'ca.pem');
  await copyFile((await trustedCertificate()).caFile, caFile);
  return { provider, submission, imap, caFile };
}

/** The flags that tell `account add` about these servers; for Gmail and Microsoft it knows them already. */
export function serverFlags({ provider, submission, imap }: Servers): string[] {
  return [
    ...['--issuer', provider.issuer, '--client-id', provider.clientId],
    ...['--scope', 'openid email offline_access mail.smtp mail.imap'],
    ...['--smtp-host', 'localhost', '--smtp-port', String(submission.port)],
    ...['--imap-host', 'localhost', '--imap-port', String(imap.port), '--imap-tls', 'implicit'],
  ];
}
