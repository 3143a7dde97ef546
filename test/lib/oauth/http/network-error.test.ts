import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type LookupFunction } from 'node:net';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CmsError } from '../../../../src/lib/core/errors.ts';
import { NoAnswer, request, unreachable } from '../../../../src/lib/oauth/http/http.ts';
import { troubleOf } from '../../../../src/lib/oauth/http/network-error.ts';
import { createCertificate, type CertificateOptions, trustedCertificate } from '../../../support/certificates.ts';
import { temporaryHome } from '../../../support/environment.ts';
import { run } from '../../../support/processes.ts';

const DAY = 24 * 3600 * 1000;
const both: LookupFunction = (_host, _options, done) => {
  done(null, [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ]);
};

describe('a network that fails', () => {
  let server: Server | undefined;

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    server = undefined;
  });

  async function serve(options: CertificateOptions): Promise<{ url: string; caFile: string }> {
    const { key, cert, caFile } = await createCertificate(options);
    server = createServer({ key, cert }, (_incoming, response) => response.end('hello')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, caFile };
  }

  async function failure(url: string, caFile?: string): Promise<CmsError> {
    const error = await request(url, { caFile }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof NoAnswer, String(error));
    const shown = unreachable(error);
    assert.ok(shown instanceof CmsError);
    assert.equal(shown.code, 'temporarily_unavailable');
    return shown;
  }

  it('by an authority that nobody knows is mended with a file of it', async () => {
    const { url, caFile } = await serve({});
    const { message, suggestions } = await failure(url);
    assert.match(
      message,
      /^cannot reach 127\.0\.0\.1:\d+: its TLS certificate cannot be verified \(a private authority/,
    );
    assert.match(suggestions.join('\n'), /--ca-file FILE[^]*NODE_EXTRA_CA_CERTS=FILE/);
    assert.equal((await request(url, { caFile })).body, 'hello');
    const { caFile: other } = await createCertificate();
    assert.match((await failure(url, other)).message, /cannot be verified/);
  });

  it('is mended with one of several in a file, and the usual ones go on counting', async () => {
    const [one, two, three] = [await serve({}), await createCertificate(), await createCertificate()];
    await using home = await temporaryHome();
    const file = await home.writeConfig('both.pem', `${two.ca}\n${readFileSync(one.caFile, 'utf8')}`);
    assert.equal((await request(one.url, { caFile: file })).body, 'hello');
    const http = fileURLToPath(new URL('../../../../src/lib/oauth/http/http.ts', import.meta.url));
    const script = `const { request } = await import(${JSON.stringify(http)}); console.log((await request(process.argv[1], { caFile: process.argv[2] })).body)`;
    const { stdout, stderr } = await run(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script, one.url, three.caFile],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: one.caFile } },
    );
    assert.equal(stdout, 'hello\n', stderr);
  });

  it('by a clock that is behind or ahead is mended with the clock', async () => {
    const future = await serve({ notBefore: new Date(Date.now() + DAY), notAfter: new Date(Date.now() + 2 * DAY) });
    const early = await failure(future.url, future.caFile);
    assert.match(early.message, /not valid yet \(is the clock here behind\?\)/);
    assert.match(early.suggestions.join(), /timedatectl/);
    server?.close();
    const past = await serve({ notBefore: new Date(Date.now() - 2 * DAY), notAfter: new Date(Date.now() - DAY) });
    assert.match((await failure(past.url, past.caFile)).message, /has expired \(or the clock here is ahead\)/);
  });

  it('by a certificate of another host makes one think of a captive portal', async () => {
    const { url, caFile } = await serve({ names: ['portal.example.test'] });
    const { message, suggestions } = await failure(url, caFile);
    assert.match(message, /its TLS certificate is for another host/);
    assert.match(suggestions.join(), /captive portal/);
  });

  it('by something that speaks neither TLS nor HTTP is told apart', async () => {
    const plain = createTcpServer((socket) =>
      socket.on('error', () => undefined).end('220 mail.example.org ESMTP\r\n'),
    );
    await once(plain.listen(0, '127.0.0.1'), 'listening');
    const { port } = plain.address() as AddressInfo;
    assert.match((await failure(`https://127.0.0.1:${port}/`)).message, /does not speak TLS/);
    assert.match((await failure(`http://127.0.0.1:${port}/`)).message, /its answer is not HTTP/);
    plain.close();
  });

  it('by a name that does not exist asks the name service', async () => {
    const { message, suggestions } = await failure('https://nowhere.invalid/');
    assert.match(message, /nowhere\.invalid: (no such host|name resolution failed) \(DNS\)$/);
    assert.equal(suggestions[0], 'getent hosts nowhere.invalid   # does this machine know the name?');
  });

  it('in both address families names both', async () => {
    const closed = createTcpServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    const [error] = (await once(get({ host: 'x.test', port, lookup: both, agent: false }), 'error').catch(
      (e: unknown) => [e],
    )) as [unknown];
    const { reason } = troubleOf(error);
    assert.match(reason, /\(::1\), connection refused \(127\.0\.0\.1\)$/);
  });

  it('in one address family only does no harm', async () => {
    const alive = createTcpServer((socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n')).listen(0, '127.0.0.1');
    await once(alive, 'listening');
    const { port } = alive.address() as AddressInfo;
    const asking = get({ host: 'x.test', port, lookup: both, agent: false });
    const [answer] = (await once(asking, 'response')) as [{ statusCode: number }];
    assert.equal(answer.statusCode, 204);
    alive.close();
  });
});

describe('a file of authorities', () => {
  it('that is missing or holds no certificate is refused by its name', async () => {
    await using home = await temporaryHome();
    const key = await home.writeConfig('key.pem', '-----BEGIN PRIVATE KEY-----\n');
    for (const [file, why] of [
      [join(home.path, 'nothing.pem'), /cannot read .*nothing\.pem: ENOENT/],
      [key, /no certificate in .*key\.pem/],
    ] as const) {
      await assert.rejects(
        request('https://127.0.0.1:9/', { caFile: file }),
        (error) => error instanceof CmsError && error.code === 'config_invalid' && why.test(error.message),
      );
    }
  });

  it('counts besides NODE_EXTRA_CA_CERTS, which goes on counting', async () => {
    const { trustedAuthorities } = await import('../../../../src/lib/os/tls-authorities.ts');
    const [{ caFile, ca }, own] = await Promise.all([trustedCertificate(), createCertificate()]);
    await using home = await temporaryHome();
    await writeFile(join(home.path, 'own.pem'), own.ca);
    const before = process.env.NODE_EXTRA_CA_CERTS;
    process.env.NODE_EXTRA_CA_CERTS = caFile;
    try {
      const all = (await trustedAuthorities(join(home.path, 'own.pem'))) ?? [];
      assert.ok(all.includes(own.ca) && all.length > 100);
      // Since Node 22.15 the variable is read once, at the start of the process.
      if (!('getCACertificates' in (await import('node:tls')))) assert.ok(all.includes(ca));
      assert.equal(await trustedAuthorities(undefined), undefined);
    } finally {
      if (before === undefined) delete process.env.NODE_EXTRA_CA_CERTS;
      else process.env.NODE_EXTRA_CA_CERTS = before;
    }
  });
});
