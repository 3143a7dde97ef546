/** Everything that one account needs: a provider, mail servers that trust its tokens, and a home for `cms`. */
import { trustedCertificate } from './certificates.ts';
import { runCms, temporaryHome, type TemporaryHome } from './environment.ts';
import { type ImapServer, startImap } from './imap.ts';
import { BROWSER_PERSON } from './person.ts';
import type { Finished } from './processes.ts';
import { type EmbeddedProvider, type ProviderOptions, startProvider } from './provider.ts';
import { startSubmission, type SubmissionServer } from './submission.ts';

export interface World extends AsyncDisposable {
  provider: EmbeddedProvider;
  submission: SubmissionServer;
  imap: ImapServer;
  home: TemporaryHome;
  /** The home's environment, with a scripted person as browser. */
  env: Record<string, string | undefined>;
  /** The flags that lead `account add` to these servers. */
  serverFlags: string[];
  /** `account add ADDRESS` with everything it needs; `more` comes last. */
  add: (address: string, ...more: string[]) => Promise<Finished>;
  cms: (...argv: string[]) => Promise<Finished>;
}

export async function startWorld(options: ProviderOptions = {}): Promise<World> {
  const provider = await startProvider(options);
  const [submission, imap, { caFile }] = await Promise.all([
    startSubmission({ provider }),
    startImap({ provider }),
    trustedCertificate(),
  ]);
  const home = await temporaryHome({ caFile });
  const env: Record<string, string | undefined> = {
    ...home.env,
    CMS_STORE: 'file',
    BROWSER: `${process.execPath} ${BROWSER_PERSON}`,
  };
  const serverFlags = [
    ...['--issuer', provider.issuer, '--client-id', provider.clientId],
    ...['--scope', 'openid email offline_access mail.smtp mail.imap'],
    ...['--smtp-host', 'localhost', '--smtp-port', String(submission.port)],
    ...['--imap-host', 'localhost', '--imap-port', String(imap.port), '--imap-tls', 'implicit'],
  ];
  const cms = (...argv: string[]): Promise<Finished> => runCms(argv, { env });
  return {
    provider,
    submission,
    imap,
    home,
    env,
    serverFlags,
    cms,
    add: (address, ...more) =>
      runCms(['account', 'add', address, ...serverFlags, ...more], {
        env: { ...env, CMS_TEST_LOGIN: env.CMS_TEST_LOGIN ?? address },
      }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([submission.stop(), imap.stop(), provider.stop()]);
      await home.remove();
    },
  };
}
