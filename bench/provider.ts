/** The token endpoint of the measurements, in a process of its own. */
import { createCertificate } from '../test/support/certificates.ts';
import { start } from '../test/support/processes.ts';
import { peer } from './tools.ts';

export interface GrantingProvider extends AsyncDisposable {
  tokenEndpoint: string;
  /** Its authority, over https. */
  caFile: string | undefined;
}

export async function startGrantingProvider(scheme: 'http' | 'https'): Promise<GrantingProvider> {
  const certificate = scheme === 'https' ? await createCertificate() : undefined;
  const files = certificate === undefined ? [] : [certificate.keyFile, certificate.certFile];
  const child = start(process.execPath, [peer('provider.mjs'), ...files], { env: {} });
  const [, port = ''] = await child.waitFor(/^(\d+)$/m, { stream: 'stdout' });
  return {
    tokenEndpoint: `${scheme}://127.0.0.1:${port}/token`,
    caFile: certificate?.caFile,
    [Symbol.asyncDispose]: async () => {
      await child.stop();
    },
  };
}
