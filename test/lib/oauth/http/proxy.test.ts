import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, createServer as createSilent, type Socket } from 'node:net';
import { CmsError } from '../../../../src/lib/core/errors.ts';
import { NoAnswer, request } from '../../../../src/lib/oauth/http/http.ts';
import { parseProxy, proxyFor } from '../../../../src/lib/oauth/http/proxy.ts';
import { redact } from '../../../../src/lib/core/redact.ts';
import { createCertificate, type ServerCertificate } from '../../../support/certificates.ts';
import { type ProxyServer, startProxy } from '../../../support/proxy.ts';

const NAME = 'login.example.test';
const VARIABLES = ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]);

describe('a proxy', () => {
  const inherited = new Map(VARIABLES.map((name) => [name, process.env[name]]));
  let server: Server;
  let certificate: ServerCertificate;
  let proxy: ProxyServer | undefined;
  let url: string;

  before(async () => {
    certificate = await createCertificate({ names: [NAME] });
    server = createServer({ key: certificate.key, cert: certificate.cert }, (_incoming, response) =>
      response.end('hello'),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url = `https://${NAME}:${(server.address() as AddressInfo).port}/`;
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  beforeEach(() => setEnvironment({}));

  afterEach(async () => {
    for (const [name, value] of inherited) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
    await proxy?.stop();
    proxy = undefined;
  });

  function setEnvironment(values: Record<string, string>): void {
    for (const name of VARIABLES) Reflect.deleteProperty(process.env, name);
    Object.assign(process.env, values);
  }

  const get = (): Promise<{ body: string }> => request(url, { caFile: certificate.caFile });

  async function failure(): Promise<NoAnswer> {
    try {
      await get();
    } catch (error) {
      assert.ok(error instanceof NoAnswer, String(error));
      return error;
    }
    throw new Error('it was answered');
  }

  for (const variable of ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'http_proxy']) {
    it(`of ${variable} is asked for a tunnel, and the server is verified at its end`, async () => {
      proxy = await startProxy();
      setEnvironment({ [variable]: proxy.url });
      assert.equal((await get()).body, 'hello');
      assert.deepEqual(proxy.asked, [new URL(url).host]);
      await assert.rejects(
        request(url),
        /its TLS certificate cannot be verified \(a private authority.* through the proxy/,
      );
    });
  }

  it('is told user and password, which no message repeats', async () => {
    proxy = await startProxy({ credentials: 'jane:p@ss w%rd' });
    const address = proxy.url.replace('//', '//jane:p%40ss%20w%25rd@');
    setEnvironment({ HTTPS_PROXY: address });
    assert.equal((await get()).body, 'hello');
    setEnvironment({ HTTPS_PROXY: address.replace('p%40', 'q%40') });
    const { message, suggestions } = await failure();
    assert.match(
      message,
      /the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\) does not take its user name and password \(407\)/,
    );
    assert.doesNotMatch(message + suggestions.join(), /jane|ss w/);
    assert.doesNotMatch(redact('so q@ss w%rd it is'), /q@ss/);
  });

  it('that wants a password says so', async () => {
    proxy = await startProxy({ credentials: 'jane:secret' });
    setEnvironment({ HTTPS_PROXY: proxy.url });
    const { message, suggestions } = await failure();
    assert.match(message, /wants a user name and a password \(407\)$/);
    assert.match(suggestions.join(), /export HTTPS_PROXY=http:\/\/USER:PASSWORD@127/);
  });

  for (const [status, sentence] of [
    [403, /does not let anybody through to login\.example\.test:\d+ \(403\)/],
    [502, /could not open the way to login\.example\.test:\d+ \(502\)/],
  ] as const) {
    it(`that refuses with ${status} is named`, async () => {
      proxy = await startProxy({ refuse: status });
      setEnvironment({ HTTPS_PROXY: proxy.url });
      assert.match((await failure()).message, sentence);
    });
  }

  it('that is down is named, with its variable', async () => {
    proxy = await startProxy();
    setEnvironment({ HTTPS_PROXY: proxy.url });
    await proxy.stop();
    const { message, suggestions } = await failure();
    assert.match(message, /^login\.example\.test:\d+: the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\): connection refused$/);
    assert.match(suggestions.join(), /NO_PROXY/);
  });

  it('that answers no request is given up in time', async () => {
    const silent = createSilent().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    setEnvironment({ HTTPS_PROXY: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` });
    const stop = new AbortController();
    const reason = new Error('given up');
    const asked = assert.rejects(request(url, {}, stop.signal), reason);
    const [socket] = (await once(silent, 'connection')) as [Socket];
    stop.abort(reason);
    await asked;
    socket.destroy();
    silent.close();
  });

  for (const [noProxy, through] of [
    ['*', false],
    [NAME, false],
    ['.example.test', false],
    ['other.test, LOGIN.example.test', false],
    [`${NAME}:1`, true],
    ['example.test', true],
    ['', true],
  ] as const) {
    it(`is ${through ? '' : 'not '}used with NO_PROXY=${noProxy}`, async () => {
      setEnvironment({ HTTPS_PROXY: 'proxy.example.test:3128', NO_PROXY: noProxy });
      assert.equal((await proxyFor(new URL(`https://${NAME}/`))) !== undefined, through);
      setEnvironment({ HTTP_PROXY: 'proxy.example.test:3128', NO_PROXY: noProxy });
      assert.equal((await proxyFor(new URL(`https://${NAME}/`))) !== undefined, through);
    });
  }

  it('is never used on this machine', async () => {
    setEnvironment({ HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9' });
    for (const host of ['127.0.0.1', 'localhost', '[::1]']) {
      assert.equal(await proxyFor(new URL(`http://${host}:8080/`)), undefined);
    }
  });

  it('may be named without a scheme, by address, and with a password that was not encoded', () => {
    assert.deepEqual(parseProxy('proxy:3128', 'X'), {
      protocol: 'http:',
      hostname: 'proxy',
      port: 3128,
      variable: 'X',
    });
    assert.equal(parseProxy('http://[::1]:8080', 'X').hostname, '::1');
    assert.equal(parseProxy('https://proxy', 'X').port, 443);
    const { authorization } = parseProxy('http://jane:100%@proxy', 'X');
    assert.equal(authorization?.reveal(), `Basic ${Buffer.from('jane:100%').toString('base64')}`);
  });

  for (const text of ['socks5://jane:secret@proxy:1080', 'ftp://proxy', 'http://jane:secret@']) {
    it(`is refused where the variable holds ${text}, without repeating it`, () => {
      assert.throws(
        () => parseProxy(text, 'HTTPS_PROXY'),
        (error) =>
          error instanceof CmsError &&
          error.code === 'config_invalid' &&
          error.message.startsWith('HTTPS_PROXY ') &&
          !/secret|jane/.test(error.message + error.suggestions.join()),
      );
    });
  }
});
