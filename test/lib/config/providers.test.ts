import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { CmsError } from '../../../src/lib/core/errors.ts';
import { clientFor } from '../../../src/lib/providers/client.ts';
import { detectByDomain, detectByMx } from '../../../src/lib/providers/detect.ts';
import type { OAuthProvider, Provider } from '../../../src/lib/providers/provider.ts';
import { parseProviders } from '../../../src/lib/config/providers.ts';
import { findProvider } from '../../../src/lib/providers/table.ts';
import { readProviders, readSettings } from '../../../src/lib/config/settings.ts';
import { temporaryHome } from '../../support/environment.ts';

const FILE = '/etc/cms/config.toml';
const fail = (why: string): CmsError => new CmsError('config_invalid', `${FILE}: ${why}`);
const read = (toml: string): Provider[] => parseProviders(parse(toml).provider, FILE, fail);

function one(toml: string): OAuthProvider {
  const [provider] = read(`[[provider]]\nid = "acme"\n${toml}`);
  assert.ok(provider !== undefined && provider.oauth !== 'none');
  return provider;
}

describe('[[provider]]', () => {
  it('starts from a preset and answers for an organisation', () => {
    const acme = one(`name = "Acme Ltd"
base = "microsoft365"
tenant = "acme.example"
client_id = "11111111-2222-3333-4444-555555555555"
domains = ["acme.example", "Acme.test"]
mx = ["mx.acme.example"]
smtp = { host = "smtp.acme.example", port = 465 }
ca_file = "acme.pem"
flow = "device"`);
    assert.equal(acme.name, 'Acme Ltd');
    assert.deepEqual(acme.servers.smtp, [{ host: 'smtp.acme.example', port: 465, tls: 'implicit' }]);
    assert.equal(acme.servers.imap?.[0]?.host, 'outlook.office365.com');
    assert.deepEqual(acme.defaults, {
      from: FILE,
      client_id: '11111111-2222-3333-4444-555555555555',
      ca_file: '/etc/cms/acme.pem',
      flow: 'device',
    });
    const client = clientFor(acme, { client_id: 'x', protocols: ['smtp'], hasSecret: false });
    assert.equal(client.token_endpoint, 'https://login.microsoftonline.com/acme.example/oauth2/v2.0/token');
    assert.match(client.scope, /SMTP\.Send/);
    assert.equal(detectByDomain('acme.test', [acme])?.provider, acme);
    assert.equal(detectByMx(['a.mx.acme.example'], [acme])?.provider, acme);
    assert.equal(findProvider('acme', [acme]), acme);
    // Those of the base stay with it.
    assert.equal(detectByDomain('office365.com', [acme])?.provider.id, 'microsoft');
  });

  it('knows a server of its own by its issuer, or by its endpoints', () => {
    const discovered = one('issuer = "https://login.acme.example/realms/mail"\nscopes = ["openid", "mail"]');
    assert.deepEqual(discovered.endpoints, { issuer: 'https://login.acme.example/realms/mail' });
    assert.equal(discovered.defaults?.scope, 'openid mail');
    const named = one('token_endpoint = "https://login.acme.example/token"\nsmtp = "smtp.acme.example"');
    assert.equal(named.endpoints.token_endpoint, 'https://login.acme.example/token');
    assert.deepEqual(named.servers.smtp, [{ host: 'smtp.acme.example', port: 587, tls: 'starttls' }]);
  });

  it('with an issuer keeps no endpoint of its base', () => {
    assert.deepEqual(one('base = "google"\nissuer = "https://login.acme.example"').endpoints, {
      issuer: 'https://login.acme.example',
    });
  });

  it('with a client id lifts the reserve of a provider that gives them to few', () => {
    assert.equal(one('base = "yahoo"').oauth, 'restricted');
    assert.equal(one('base = "yahoo"\nclient_id = "x"').oauth, 'supported');
  });

  for (const [toml, why] of [
    ['clientid = "x"', /acme: unknown key clientid/],
    ['', /acme: issuer or token_endpoint is missing/],
    ['base = "nobody"', /acme: base is no preset: "nobody"/],
    ['base = "google"\ntenant = "acme.example"', /acme: the base has no tenants/],
    ['base = "microsoft"\ntenant = "a b"', /acme: tenant: not a tenant/],
    ['base = "icloud"\nclient_id = "x"', /acme: client_id is of no use: the base has no OAuth/],
    ['issuer = "http://login.acme.example"', /acme: issuer: the issuer is plain http/],
    ['base = "google"\ntoken_endpoint = "https://a:b@login.acme.example/"', /token_endpoint: .* holds credentials/],
    ['base = "google"\nclient_id = 1', /client_id is a text/],
    ['base = "google"\nclient_secret_file = "x"', /client_secret_file needs a client_id/],
    ['base = "google"\ndomains = "acme.example"', /domains is a list of texts/],
    ['base = "google"\ndomains = ["a b"]', /acme: domains: /],
    ['base = "google"\nsmtp = { host = "a.example", prot = 1 }', /smtp: unknown key prot/],
    ['base = "google"\nsmtp = { host = "a.example", port = 0 }', /smtp: port is a number/],
    ['base = "google"\nsmtp = { port = 25 }', /smtp: host is missing/],
    ['base = "google"\nsmtp = { host = "a.example", tls = "none" }', /smtp: tls is/],
    ['base = "google"\nflow = "password"', /flow is one of browser, device, manual/],
    ['base = "google"\nredirect_port = 70000', /redirect_port is a number/],
    ['base = "google"\n[[provider]]\nid = "acme"\nbase = "google"', /two of them have the id acme/],
    ['base = "google"\n[[provider]]\nid = "custom"', /id is a name/],
    ['base = "google"\n[[provider]]\nid = "A B"', /id is a name/],
  ] as const) {
    it(`is refused with ${JSON.stringify(toml)}`, () => {
      assert.throws(
        () => one(toml),
        (error) => error instanceof CmsError && error.message.startsWith(FILE) && why.test(error.message),
      );
    });
  }

  it('is a list', () => {
    assert.throws(() => read('[provider]\nid = "acme"'), /written as \[\[provider\]\]/);
  });

  it('of the user wins over that of the system, and one that is wrong stops no broker', async () => {
    await using home = await temporaryHome();
    const configFile = await home.writeConfig(
      'config.toml',
      '[[provider]]\nid = "acme"\nname = "mine"\nbase = "google"\n',
    );
    const systemConfigFile = join(home.path, 'system.toml');
    await writeFile(systemConfigFile, '[[provider]]\nid = "acme"\nname = "theirs"\nbase = "google"\n');
    const paths = { configFile, systemConfigFile };
    const own = await readProviders(paths);
    assert.deepEqual(
      own.map(({ name }) => name),
      ['mine', 'theirs'],
    );
    assert.equal(findProvider('acme', own)?.name, 'mine');
    await writeFile(systemConfigFile, '[[provider]]\nid = "acme"\nbaze = "google"\n');
    await assert.rejects(readProviders(paths), /system\.toml: \[\[provider\]\] acme: unknown key baze/);
    assert.deepEqual((await readSettings(paths)).sockets, []);
  });
});
