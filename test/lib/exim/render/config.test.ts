import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderConfig } from '../../../../src/lib/exim/render/config.ts';
import { DEFAULT_OPTIONS, type EximOptions, parseListener } from '../../../../src/lib/exim/render/options.ts';
import { PASSWORD_MECHANISMS, TOKEN_MECHANISMS } from '../../../../src/lib/core/mechanisms.ts';
import { requires } from '../../../support/requirements.ts';

const EVERYTHING: EximOptions = {
  smartHostsFile: '/etc/exim4/lines',
  localDomains: ['host.example', 'MÜLLER.example'],
  ownNameIsLocal: true,
  helo: 'client.example.org',
  listen: { address: '::1', port: 2525 },
  caFile: '/etc/ssl/own.pem',
};

/** What exim says about a configuration text. */
function judge(text: string): { status: number | null; stderr: string } {
  const folder = mkdtempSync(join(tmpdir(), 'cms-config-'));
  try {
    const file = join(folder, 'exim4.conf');
    writeFileSync(file, text);
    const { status, stderr } = spawnSync('/usr/sbin/exim4', ['-C', file, '-bV'], { encoding: 'utf8' });
    return { status, stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the configuration of exim', () => {
  for (const [name, options] of Object.entries({ 'by default': DEFAULT_OPTIONS, 'with every option': EVERYTHING })) {
    it(`is taken by exim ${name}`, function () {
      requires(this, 'exim4');
      assert.deepEqual(judge(renderConfig(options)), { status: 0, stderr: '' });
    });
  }

  for (const section of ['authenticators', 'transports', 'routers'] as const) {
    it(`is taken by exim with ${section} as a section of its own`, function () {
      requires(this, 'exim4');
      const main = 'keep_environment =\ntls_advertise_hosts =\ndomainlist local_domains = localhost\n';
      const extra = section === 'routers' ? `\n${renderConfig(DEFAULT_OPTIONS, 'transports')}` : '';
      assert.deepEqual(judge(`${main}\n${renderConfig(DEFAULT_OPTIONS, section)}${extra}`), { status: 0, stderr: '' });
    });

    it(`holds the section ${section} word for word`, () => {
      assert.ok(renderConfig(EVERYTHING).includes(renderConfig(EVERYTHING, section)));
    });
  }

  it('says no account, and no more domains than it is told', () => {
    const text = renderConfig({ ...DEFAULT_OPTIONS, localDomains: ['host.example'] });
    assert.deepEqual(text.match(/[\w.-]+@[\w-]+\.\w+/g), null);
    assert.match(text, /^domainlist local_domains = @ : localhost : host\.example$/m);
  });

  it('does not take the own name of the host for local where it is a mail domain', () => {
    const text = renderConfig({ ...DEFAULT_OPTIONS, ownNameIsLocal: false });
    assert.match(text, /^domainlist local_domains = localhost$/m);
  });

  it('opens no port unless told to', () => {
    assert.match(renderConfig(DEFAULT_OPTIONS), /^local_interfaces =$/m);
    assert.match(renderConfig(EVERYTHING), /^local_interfaces = <; \[::1\]:2525$/m);
    const four = renderConfig({ ...DEFAULT_OPTIONS, listen: parseListener('127.0.0.1:25') });
    assert.match(four, /^local_interfaces = <; \[127\.0\.0\.1\]:25$/m);
  });

  it('uses the names and files it is given', () => {
    const text = renderConfig(EVERYTHING);
    assert.match(text, /tls_verify_certificates = \/etc\/ssl\/own\.pem/);
    assert.match(text, /\{\$value\}\{client\.example\.org\}/);
    assert.match(text, /xn--mller-kva\.example/);
    assert.doesNotMatch(text, /exim-smart-hosts/);
  });

  const hostile: Partial<EximOptions>[] = [
    { smartHostsFile: '/etc/${run{/bin/id}}' },
    { smartHostsFile: '/etc/a\nbegin acl' },
    { smartHostsFile: 'relative' },
    { smartHostsFile: '/etc/a:b' },
    { caFile: '/etc/a b' },
    { helo: 'a}b' },
    { helo: 'a\nb' },
    { helo: '$x' },
    { localDomains: ['a : *'] },
    { localDomains: ['*'] },
    { localDomains: ['lsearch;/etc/passwd'] },
    { listen: { address: '0.0.0.0\n', port: 25 } },
    { listen: { address: '127.0.0.1', port: 70000 } },
  ];
  for (const change of hostile) {
    it(`refuses ${JSON.stringify(change)}`, () => {
      assert.throws(() => renderConfig({ ...DEFAULT_OPTIONS, ...change }), { name: 'CmsError' });
    });
  }

  for (const text of ['25', '127.0.0.1', 'localhost:25', '::1:25', '[127.0.0.1]:25', '127.0.0.1:0', '1.2.3.4:99999']) {
    it(`refuses --listen ${text}`, () => {
      assert.throws(() => parseListener(text), { code: 'usage' });
    });
  }

  it('speaks the mechanisms, in the order, that those go by who log in as exim does', () => {
    const names = [...renderConfig(DEFAULT_OPTIONS, 'authenticators').matchAll(/public_name = (\S+)/g)].map(
      ([, n]) => n,
    );
    assert.deepEqual(names, [...TOKEN_MECHANISMS, ...PASSWORD_MECHANISMS]);
  });
});
