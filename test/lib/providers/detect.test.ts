import assert from 'node:assert/strict';
import { detectByDomain, detectByMx, detectProvider } from '../../../src/lib/providers/detect.ts';
import { findProvider } from '../../../src/lib/providers/table.ts';

const mx = (...hosts: string[]) => detectByMx(hosts)?.provider.id;
const never = async (): Promise<string[]> => assert.fail('asked the name service');

describe('detectByDomain', () => {
  it('knows a domain whole, in any case, and not what merely ends like it', () => {
    assert.equal(detectByDomain('GMail.com')?.because, 'domain gmail.com');
    assert.equal(detectByDomain('mail.gmail.com'), undefined);
    assert.equal(detectByDomain('notgmail.com'), undefined);
    assert.equal(detectByDomain('yahoo.co.jp'), undefined);
  });

  it("knows the subdomains that are Microsoft's tenants", () => {
    assert.equal(detectByDomain('contoso.onmicrosoft.com')?.provider.id, 'microsoft');
    assert.equal(detectByDomain('contoso.partner.onmschina.cn')?.provider.id, 'microsoft-21vianet');
    assert.equal(detectByDomain('notonmicrosoft.com'), undefined);
  });

  it('asks own presets first', () => {
    const own = { ...findProvider('custom')!, id: 'ours', detect: { domains: ['gmail.com'], mx_suffixes: [] } };
    assert.equal(detectByDomain('gmail.com', [own])?.provider.id, 'ours');
  });
});

describe('detectByMx', () => {
  it("tells personal Outlook from Microsoft 365, and AOL's mail from Yahoo's", () => {
    assert.equal(mx('outlook-com.olc.protection.outlook.com'), 'microsoft-personal');
    assert.equal(mx('contoso-com.mail.protection.outlook.com.'), 'microsoft');
    assert.equal(mx('mx-aol.mail.gm0.yahoodns.net'), 'aol');
    assert.equal(mx('mta5.am0.yahoodns.net'), 'yahoo');
    assert.equal(mx('mx-biz.mail.am0.yahoodns.net'), 'yahoo');
  });

  it('matches on label borders only', () => {
    assert.equal(mx('aspmx.l.google.com'), 'google');
    assert.equal(mx('ASPMX.L.GOOGLE.COM'), 'google');
    assert.equal(mx('google.com'), 'google');
    assert.equal(mx('notgoogle.com'), undefined);
    assert.equal(mx('google.com.example.org'), undefined);
  });

  it('goes by the most preferred host that it knows', () => {
    assert.equal(mx('filter.example.net', 'aspmx.l.google.com', 'x.mail.protection.outlook.com'), 'google');
    assert.equal(
      detectByMx(['mx.example.net', 'in1-smtp.messagingengine.com'])?.because,
      'MX in1-smtp.messagingengine.com',
    );
    assert.equal(mx(), undefined);
  });
});

describe('detectProvider', () => {
  it('asks no name service for a domain that it knows', async () => {
    const found = await detectProvider('jane@gmail.com', { resolveMx: never });
    assert.deepEqual([found?.provider.id, found?.because], ['google', 'domain gmail.com']);
  });

  it('asks for the mail exchangers of any other domain', async () => {
    const asked: string[] = [];
    const resolveMx = async (domain: string) => {
      asked.push(domain);
      return ['example-org.mail.protection.outlook.com'];
    };
    const found = await detectProvider('jane@Example.ORG', { resolveMx });
    assert.deepEqual([found?.provider.id, found?.because], ['microsoft', 'MX example-org.mail.protection.outlook.com']);
    assert.deepEqual(asked, ['example.org']);
  });

  it('believes the MX of a provider that is moving its mailboxes, and the domain when there is none', async () => {
    const moved = await detectProvider('jane@comcast.net', { resolveMx: async () => ['mx.am0.yahoodns.net'] });
    assert.equal(moved?.provider.id, 'yahoo');
    const stayed = await detectProvider('jane@comcast.net', { resolveMx: async () => [] });
    assert.equal(stayed?.provider.id, 'comcast');
  });

  it('finds nothing, and says why, when the name service fails', async () => {
    const notes: string[] = [];
    const resolveMx = async (): Promise<string[]> => Promise.reject(new Error('queryMx ESERVFAIL example.org'));
    assert.equal(await detectProvider('a@example.org', { resolveMx, note: (text) => notes.push(text) }), undefined);
    assert.deepEqual(notes, ['cannot look up the mail exchangers of example.org: queryMx ESERVFAIL example.org']);
  });

  it('waits for a silent name service no longer than it was told', async () => {
    const notes: string[] = [];
    const resolveMx = async (): Promise<string[]> => new Promise(() => undefined);
    const found = await detectProvider('a@example.org', { resolveMx, timeoutMs: 20, note: (text) => notes.push(text) });
    assert.equal(found, undefined);
    assert.match(notes.join(), /no answer within 20 ms/);
  });
});
