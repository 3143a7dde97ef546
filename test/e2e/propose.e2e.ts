/** A domain that no preset knows: what its own autoconfiguration proposes, and a person confirms. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer as createHttp, type Server, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createCertificate } from '../support/certificates.ts';
import { CMS_PROGRAM } from '../support/environment.ts';
import { runInTerminal, type Terminal } from '../support/pty.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';

const PORTAL =
  '<!DOCTYPE html><html><body><form action="/login"><input name="room">Welcome, guest</form></body></html>';

/** A body that goes on for as long as somebody listens. */
function drip(response: ServerResponse): void {
  response.writeHead(200);
  const timer = setInterval(() => response.write('<p>wait</p>'), 100);
  response.once('close', () => clearInterval(timer));
}

describe('a domain that no preset knows', function () {
  this.timeout(60_000);
  let world: World;
  let terminal: Terminal | undefined;
  let servers: { listen: Server['listen']; close: () => unknown }[];
  let asked: string[];
  /** By host and path; `hang` never answers, `drip` never ends, `redirect` leads to a login. */
  let pages: Record<string, string>;
  /** What stands at every other address. */
  let everything: string | undefined;
  const sockets = new Set<Socket>();

  beforeEach(async () => {
    world = await startWorld();
    asked = [];
    pages = {};
    everything = undefined;
    const names = ['example.org', 'autoconfig.example.org', 'autoconfig.thunderbird.net'];
    const { key, cert, caFile } = await createCertificate({ names });
    const web = createServer({ key, cert }, (request, response) => {
      const place = `${request.headers.host ?? ''}${request.url ?? ''}`;
      asked.push(place);
      const page = pages[place] ?? everything;
      if (page === 'hang') return;
      if (page === 'drip') {
        drip(response);
        return;
      }
      if (page === 'redirect') {
        response.writeHead(302, { location: 'https://autoconfig.example.org/login' }).end(PORTAL);
        return;
      }
      response.writeHead(page === undefined ? 404 : 200).end(page);
    });
    const proxy = createHttp();
    proxy.on('connect', (_request, client: Socket) => {
      const upstream = connect((web.address() as AddressInfo).port, '127.0.0.1', () => {
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.pipe(client).pipe(upstream);
      });
      for (const socket of [client, upstream]) sockets.add(socket.on('error', () => socket.destroy()));
    });
    servers = [web, proxy];
    for (const server of servers) await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const both = join(world.home.path, 'authorities.pem');
    const files = [world.env.NODE_EXTRA_CA_CERTS ?? '', caFile];
    await writeFile(both, (await Promise.all(files.map((path) => readFile(path, 'utf8')))).join('\n'));
    Object.assign(world.env, {
      NODE_EXTRA_CA_CERTS: both,
      HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      CMS_TEST_LOGIN: JANE,
      TERM: 'xterm-256color',
    });
  });

  afterEach(async () => {
    await terminal?.stop();
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
    await world[Symbol.asyncDispose]();
  });

  const config = (): string => `<clientConfig version="1.1"><emailProvider id="example.org">
    <incomingServer type="imap"><hostname>localhost</hostname><port>${world.imap.port}</port>
      <socketType>SSL</socketType><authentication>OAuth2</authentication></incomingServer>
    <outgoingServer type="smtp"><hostname>localhost</hostname><port>${world.submission.port}</port>
      <socketType>STARTTLS</socketType><authentication>OAuth2</authentication></outgoingServer>
    </emailProvider></clientConfig>`;

  it('is asked, and a person confirms each server with Enter', async () => {
    pages['autoconfig.example.org/mail/config-v1.1.xml'] = config();
    const { clientId, issuer } = world.provider;
    const argv = ['account', 'add', JANE, '--client-id', clientId, '--no-send', '--no-exim', '--no-service'];
    terminal = runInTerminal(
      process.execPath,
      [CMS_PROGRAM, ...argv, '--scope', 'openid email offline_access mail.smtp mail.imap'],
      { env: world.env },
    );
    await terminal.waitFor(/autoconfig\.example\.org names localhost:\d+, localhost:\d+/, 20_000);
    await terminal.waitFor(/❯ another server/);
    terminal.press('enter');
    await terminal.waitFor(/issuer[^:]*:/);
    terminal.type(issuer);
    terminal.press('enter');
    for (const protocol of ['SMTP', 'IMAP']) {
      await terminal.waitFor(new RegExp(`${protocol} server of`), 20_000);
      terminal.press('enter');
    }
    assert.equal((await terminal.wait(20_000)).status, 0, terminal.screen);
    assert.match(terminal.screen, /SMTP localhost:\d+: login as jane@example\.org\s+accepted/);
    assert.match(terminal.screen, /IMAP localhost:\d+: login as\s+jane@example\.org\s+accepted/);
    for (const place of asked) assert.ok(!place.includes('jane'), place);
  });

  it('is not taken at its word where nobody can confirm: the command that does is printed', async () => {
    pages['autoconfig.thunderbird.net/v1.1/example.org'] = config();
    const added = await world.cms('account', 'add', JANE);
    assert.equal(added.status, 64, added.stderr);
    assert.match(
      added.stderr,
      /--smtp-host localhost --smtp-port \d+ --smtp-tls starttls --imap-host localhost .*as autoconfig\.thunderbird\.net proposes/,
    );
  });

  it('is known by the servers that it names, where those are well known', async () => {
    pages['example.org/.well-known/autoconfig/mail/config-v1.1.xml'] = config()
      .replace(/localhost/g, 'smtp.fastmail.com')
      .replace(String(world.submission.port), '465');
    const added = await world.cms('account', 'add', JANE);
    assert.match(added.stderr, /provider: Fastmail \(the servers that example\.org names\)/);
  });

  it('keeps nobody waiting for more than 5 s, and what has come by then counts', async () => {
    pages['autoconfig.example.org/mail/config-v1.1.xml'] = 'hang';
    pages['example.org/.well-known/openid-configuration'] = 'hang';
    pages['autoconfig.thunderbird.net/v1.1/example.org'] = config();
    const began = Date.now();
    const added = await world.cms('account', 'add', JANE);
    assert.ok(Date.now() - began < 9000, `${Date.now() - began} ms`);
    assert.match(added.stderr, /as autoconfig\.thunderbird\.net proposes/);
  });

  // The page of a hotel, in place of whatever was asked for.
  for (const [answer, mostMs] of [
    [PORTAL, 3000],
    ['redirect', 3000],
    ['drip', 9000],
  ] as const) {
    const what = answer === PORTAL ? 'a page with a login' : answer === 'drip' ? 'a page without end' : 'a redirect';
    it(`proposes nothing behind a captive portal that answers everything with ${what}`, async () => {
      everything = answer;
      const began = Date.now();
      const added = await world.cms('account', 'add', JANE);
      const took = Date.now() - began;
      assert.equal(added.status, 64, added.stderr);
      assert.match(added.stderr, /cannot tell which provider jane@example\.org belongs to/);
      assert.match(added.stderr, /--provider ID/);
      assert.doesNotMatch(added.stderr, /proposes|login|<|at .*\.js/);
      assert.ok(took < mostMs, `${took} ms`);
      // A redirect is not followed, and all places were asked.
      assert.ok(!asked.some((place) => place.endsWith('/login')), asked.join(' '));
      assert.ok(asked.length >= 4, asked.join(' '));
    });
  }

  it('says that a login page stands where the metadata of a named issuer should be', async () => {
    everything = PORTAL;
    const added = await world.cms('account', 'add', JANE, '--issuer', 'https://example.org', '--client-id', 'x');
    assert.equal(added.status, 78, added.stderr);
    assert.match(added.stderr, /example\.org answers with a web page where the metadata/);
    assert.match(added.stderr, /captive portal/);
  });
});
