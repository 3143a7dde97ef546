import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import type { Protocol } from '../../../src/lib/accounts/account.ts';
import { PROTOCOLS } from '../../../src/lib/accounts/account.ts';
import { parseDomain } from '../../../src/lib/accounts/address.ts';
import { parseEndpoint } from '../../../src/lib/core/endpoint.ts';
import { detectByDomain } from '../../../src/lib/providers/detect.ts';
import type { OAuthProvider, Provider } from '../../../src/lib/providers/provider.ts';
import { PRESETS, findProvider, providerIds } from '../../../src/lib/providers/table.ts';

function isPreset(value: unknown): value is Provider {
  return typeof value === 'object' && value !== null && 'id' in value && 'detect' in value;
}

const oauthPresets = PRESETS.filter((provider): provider is OAuthProvider => provider.oauth !== 'none');

describe('the preset table', () => {
  it('has every id once, custom last', () => {
    const ids = providerIds();
    assert.equal(ids.length, PRESETS.length);
    assert.equal(ids.at(-1), 'custom');
    for (const id of ['google', 'microsoft', 'microsoft-personal', 'microsoft-gcc-high', 'microsoft-dod']) {
      assert.ok(ids.includes(id), id);
    }
  });

  it('has every preset that its folder has', async () => {
    const folder = new URL('../../../src/lib/providers/presets/', import.meta.url);
    const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
    const modules = (await Promise.all(files.map((name) => import(new URL(name, folder).href)))) as object[];
    const written = modules.flatMap((module) => Object.values(module) as unknown[]).filter(isPreset);
    const forgotten = written.map(({ id }) => id).filter((id) => !providerIds().includes(id));
    assert.deepEqual(forgotten, [], 'add it to PRESETS in src/lib/providers/table.ts');
    assert.equal(written.length, PRESETS.length);
  });

  it('gives every domain and every MX suffix to one preset', () => {
    const seen = new Map<string, string>();
    for (const { id, detect } of PRESETS) {
      for (const name of [
        ...detect.domains.map((domain) => `domain ${domain}`),
        ...(detect.domain_suffixes ?? []).map((suffix) => `domain ${suffix}`),
        ...detect.mx_suffixes.map((suffix) => `MX ${suffix}`),
      ]) {
        assert.equal(seen.get(name), undefined, `${name} belongs to ${seen.get(name) ?? ''} and ${id}`);
        seen.set(name, id);
      }
    }
    assert.ok(seen.size > 200);
  });

  it('writes domains, suffixes and hosts as they are compared', () => {
    for (const { id, detect, servers } of PRESETS) {
      const hosts = Object.values(servers).flatMap((list) => list.map((server) => server.host));
      const names = [...detect.domains, ...(detect.domain_suffixes ?? []), ...detect.mx_suffixes, ...hosts];
      for (const name of names) assert.equal(parseDomain(name), name, `${id}: ${name}`);
    }
  });

  it('finds each preset by each of its domains', () => {
    for (const provider of PRESETS) {
      for (const domain of provider.detect.domains) assert.equal(detectByDomain(domain)?.provider, provider, domain);
    }
  });

  it('uses one server port with one kind of TLS', () => {
    const implicit = new Set([465, 993, 995]);
    for (const { id, servers } of PRESETS) {
      for (const { host, port, tls } of Object.values(servers).flat()) {
        assert.equal(tls, implicit.has(port) ? 'implicit' : 'starttls', `${id}: ${host}:${port}`);
      }
    }
  });

  it('says why OAuth cannot be had, and what works instead', () => {
    const others = PRESETS.filter((provider) => provider.oauth !== 'supported');
    assert.ok(others.length > 8);
    for (const provider of others) {
      assert.match(provider.reason, /^[A-Z].*[^.]$/, provider.id);
      assert.ok(provider.servers.smtp !== undefined, `${provider.id} has no server for a password login`);
    }
    for (const { id, app_password } of PRESETS) {
      if (app_password === undefined) continue;
      if ('unavailable' in app_password) assert.match(app_password.unavailable, /\w/, id);
      else assert.match(new URL(app_password.url).protocol + app_password.how, /^https:\w/, id);
    }
  });
});

describe('findProvider', () => {
  it('knows other names, in any case', () => {
    const byName = (name: string) => findProvider(name)?.id;
    assert.equal(byName('gmail'), 'google');
    assert.equal(byName('Office365'), 'microsoft');
    assert.equal(byName('outlook'), 'microsoft-personal');
    assert.equal(byName('microsoft-work'), 'microsoft');
    assert.equal(byName('gcc-high'), 'microsoft-gcc-high');
    assert.equal(byName('CUSTOM'), 'custom');
  });

  it('knows nothing else', () => {
    for (const name of ['', 'constructor', '__proto__', 'gmail.example']) assert.equal(findProvider(name), undefined);
  });

  it('prefers a preset of the user, by its id and by an alias it takes over', () => {
    const own = { ...findProvider('custom')!, id: 'gmail', name: 'ours' };
    assert.equal(findProvider('gmail', [own])?.name, 'ours');
    assert.equal(findProvider('google', [own])?.id, 'google');
    assert.ok(providerIds([own]).includes('gmail'));
  });
});

for (const provider of oauthPresets) {
  describe(`the preset ${provider.id}`, () => {
    const { endpoints, scopes, client, redirect, flows, tenant } = provider;

    it('has https endpoints that parse', () => {
      for (const [name, value] of Object.entries(endpoints)) {
        assert.equal(typeof value, 'string', name);
        const url = parseEndpoint(String(value).replace(/\{tenant(?:id)?\}/, 'consumers'), name);
        assert.equal(url.protocol, 'https:', name);
        assert.doesNotMatch(url.href, /[{}]|%7B/i, name);
      }
      const known = endpoints.token_endpoint !== undefined && endpoints.authorization_endpoint !== undefined;
      assert.ok(known || provider.id === 'custom');
    });

    it('takes a tenant if and only if its endpoints have a place for one', () => {
      assert.equal(JSON.stringify(endpoints).includes('{tenant}'), tenant !== undefined);
    });

    it('has scopes and a server for each protocol that it grants', () => {
      if (provider.id === 'custom') return;
      for (const protocol of Object.keys(scopes) as Protocol[]) {
        assert.ok(PROTOCOLS.includes(protocol));
        assert.ok((scopes[protocol] ?? []).length > 0, protocol);
        assert.ok((provider.servers[protocol] ?? []).length > 0, protocol);
      }
      assert.ok(scopes.smtp !== undefined && scopes.imap !== undefined);
      for (const scope of Object.values(scopes).flat()) assert.match(scope, /^[\x21\x23-\x5b\x5d-\x7e]+$/);
    });

    it('asks for consent where it asks for offline access, Microsoft apart', () => {
      if (provider.id.startsWith('microsoft')) assert.equal(provider.authorization_params.prompt, 'select_account');
      else if (provider.offline_scope !== undefined) assert.equal(provider.authorization_params.prompt, 'consent');
    });

    it('names the redirect URI to register that it will use', () => {
      const { redirect_to_register } = client;
      if (provider.id === 'google') {
        assert.match(redirect_to_register, /^none/);
        return;
      }
      const url = new URL(redirect_to_register);
      assert.equal(url.protocol, redirect.scheme === 'https' ? 'https:' : 'http:');
      assert.equal(url.hostname, redirect.host);
      assert.equal(url.pathname, redirect.path);
      assert.equal(url.port, redirect.port === undefined ? '' : String(redirect.port));
    });

    it('offers the device flow only with an endpoint for it, and explains it otherwise', () => {
      if (flows.device) assert.ok(endpoints.device_authorization_endpoint !== undefined || provider.id === 'custom');
      else assert.match(flows.device_note ?? '', /\w/);
      assert.ok(flows.manual);
      assert.equal(flows.browser, redirect.scheme === undefined);
    });
  });
}

describe('the preset google', () => {
  it('refuses the device flow and says what to do instead', () => {
    const google = findProvider('google') as OAuthProvider;
    assert.equal(google.flows.device, false);
    assert.match(google.flows.device_note ?? '', /--flow manual.*ssh -L/);
    assert.match(google.expiry_note ?? '', /7 days.*Testing/);
  });
});
