import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseAutoconfig, presetOf } from '../../../src/lib/providers/autoconfig.ts';

const server = (tag: string, type: string, host: string, port: string, socket: string, ...methods: string[]): string =>
  `<${tag} type="${type}"><hostname>${host}</hostname><port>${port}</port><socketType>${socket}</socketType>
   <username>%EMAILADDRESS%</username>${methods.map((each) => `<authentication>${each}</authentication>`).join('')}</${tag}>`;
const config = (...parts: string[]): string =>
  `<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="example.org"><domain>example.org</domain>
   ${parts.join('')}</emailProvider></clientConfig>`;
const imap = server('incomingServer', 'imap', 'imap.example.org', '993', 'SSL', 'password-cleartext');

describe("Mozilla's description of mail servers", () => {
  it('gives the servers of each protocol, and the issuer', async () => {
    const text = config(
      imap,
      server('incomingServer', 'pop3', 'pop.%EMAILDOMAIN%', '995', 'SSL', 'OAuth2'),
      server('outgoingServer', 'smtp', 'smtp.example.org', '587', 'STARTTLS', 'OAuth2'),
      '<oAuth2><issuer>login.example.org</issuer><scope>mail</scope></oAuth2>',
    );
    assert.deepEqual(await parseAutoconfig(text, 'example.org'), {
      servers: {
        imap: { host: 'imap.example.org', port: 993, tls: 'implicit' },
        pop: { host: 'pop.example.org', port: 995, tls: 'implicit' },
        smtp: { host: 'smtp.example.org', port: 587, tls: 'starttls' },
      },
      issuer: 'login.example.org',
    });
  });

  it('prefers the server that takes tokens to one that stands before it', async () => {
    const text = config(imap, server('incomingServer', 'imap', 'token.example.org', '993', 'SSL', 'OAuth2'));
    assert.equal((await parseAutoconfig(text, 'example.org'))?.servers.imap?.host, 'token.example.org');
  });

  for (const [what, text] of [
    ['a server without TLS', config(server('incomingServer', 'imap', 'imap.example.org', '143', 'plain'))],
    ['a port that is none', config(server('incomingServer', 'imap', 'imap.example.org', '99999', 'SSL'))],
    ['a host that is none', config(server('incomingServer', 'imap', '-oProxyCommand=x', '993', 'SSL'))],
    ['a kind that nobody knows', config(server('incomingServer', 'constructor', 'imap.example.org', '993', 'SSL'))],
    ['a web page', '<!DOCTYPE html><html><body>Not found</body></html>'],
    ['a document type, with or without entities', `<!DOCTYPE a [<!ENTITY b "c">]>${config(imap).slice(21)}`],
    ['a document without an end', config(imap).slice(0, -20)],
    ['an entity that is not of XML', config(imap.replace('imap.example.org', '&evil;'))],
    ['one that is too long', config(imap, `<!--${'x'.repeat(70_000)}-->`)],
    ['nothing', ''],
  ] as const) {
    it(`is nothing with ${what}`, async () => {
      assert.equal(await parseAutoconfig(text, 'example.org'), undefined);
    });
  }

  it('throws for no text at all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.nat(500), async (noise, at) => {
        const text = config(imap);
        await parseAutoconfig(text.slice(0, at) + noise + text.slice(at), 'example.org');
      }),
      { numRuns: 200 },
    );
  });

  it('leads to the preset whose servers are named, and to none otherwise', () => {
    const smtp = { host: 'smtp.gmail.com', port: 465, tls: 'implicit' } as const;
    assert.equal(presetOf({ servers: { smtp } })?.id, 'google');
    assert.equal(presetOf({ servers: { smtp: { ...smtp, host: 'smtp.gmail.com.example.org' } } }), undefined);
  });
});
