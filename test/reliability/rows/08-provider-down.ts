import { createServer, type Server } from 'node:https';
import { request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { trustedCertificate, untrustedCertificate } from '../../support/certificates.ts';
import { JANE, type Row, Checks, Site, expire, timed, until } from '../harness.ts';
import { nothingLost } from '../lost.ts';

const DNS = 'dns@example.org';
const TLS = 'tls@example.org';

export const providerDown: Row = {
  number: 8,
  title: 'provider down, name not found, certificate wrong',
  target: 'a live token is served; else nothing within 4.5 s; full jitter; nothing lost',
  alone: 'full',
  async run(scale) {
    const checks = new Checks();
    const { caFile } = await trustedCertificate();
    await using site = await Site.open({ addresses: [JANE, TLS], env: { NODE_EXTRA_CA_CERTS: caFile } });
    const port = await freePort();
    await site.signIn(TLS, { client: { token_endpoint: `https://localhost:${port}/token` } });
    await site.signIn(DNS, { client: { token_endpoint: 'https://no-such-host.invalid/token' } });
    const broker = await site.serve();
    const wrong = await tlsServer(port, site.provider.tokenEndpoint, await untrustedCertificate());
    await site.provider.pause();
    for (const address of [JANE, DNS, TLS]) {
      checks.that((await site.refresh(address)) === 'temporarily_unavailable', `${address} is not temporary`);
      checks.that((await site.ask(`SMTP ${address}`)).startsWith('user='), `${address}: a live token is not served`);
    }
    checks.that(/no such host|DNS/.test(broker.stderr), 'the log does not say that the name was not found');
    checks.that(/certificate|CERT_/.test(broker.stderr), 'the log does not say that the certificate is wrong');
    await site.provider.resume();
    await expire(site);
    await site.provider.pause();
    await site.ask('RELOAD');
    const { value, ms } = await timed(() => site.ask(`SMTP ${JANE}`));
    checks.that(
      value === '' && ms < 4000 + scale.within(500),
      `expired: ${JSON.stringify(value)} after ${ms.toFixed(0)} ms`,
    );
    const seconds = scale.pick(2, 20);
    const before = attempts(broker.stderr);
    for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
      await site.ask(`SMTP ${JANE}`);
      await sleep(20);
    }
    const made = attempts(broker.stderr) - before;
    checks.that(made <= 12, `${made} attempts in ${seconds} s`);
    await site.provider.resume();
    wrong.closeAllConnections();
    await new Promise((resolve) => wrong.close(resolve));
    const right = await tlsServer(port, site.provider.tokenEndpoint, await trustedCertificate());
    const back = await until(async () => (await site.refresh()) === undefined, 3000);
    checks.that(back !== undefined, 'no token once the provider is back');
    await broker.stop();
    checks.that(
      (await site.onDisk(DNS)).secrets.refresh_token !== undefined,
      'the grant behind the missing name is gone',
    );
    checks.all((await nothingLost(site)).problems);
    right.closeAllConnections();
    right.close();
    return checks.measured(`nothing after ${(ms / 1000).toFixed(2)} s, ${made} attempts in ${seconds} s of demand`);
  },
};

function attempts(log: string): number {
  return log.split('refresh failed').length - 1;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Hands everything on to `upstream`. */
async function tlsServer(port: number, upstream: string, pair: { key: string; cert: string }): Promise<Server> {
  const server = createServer({ key: pair.key, cert: pair.cert }, (request, response) => {
    const { method, headers } = request;
    const onward = httpRequest(upstream, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
