/** A connection that came to nothing, and a token that fits nowhere. */
import type { Entry } from './entry.ts';

const SHOW = 'cms account show {address}   # host, port and tls of the servers';
const AGAIN = 'cms account test {address}   # try again later';

export const CONNECTION: readonly Entry[] = [
  {
    id: 'no-common-mechanism',
    sources: ['tls'],
    match: { words: /no common login mechanism: / },
    class: 'client configuration',
    who: 'you',
    sentence: '{host} offers no login mechanism that exim and cms can use for this account; nothing was sent',
    fix: [
      SHOW,
      'the SMTP server must be the one for submission, which the provider names',
      'cms account add {address} --smtp-host HOST',
      'cms account add {address} --password-file FILE   # an app password, if the server accepts no tokens',
    ],
    example:
      'no common login mechanism: the server offers logins by CRAM-MD5; exim uses XOAUTH2 or OAUTHBEARER for a token',
  },
  {
    id: 'certificate-name',
    sources: ['tls'],
    match: { words: /altnames|ALTNAME|HOSTNAME_MISMATCH/i },
    class: 'client configuration',
    who: 'you',
    sentence: 'the certificate is for another name than {host}; nothing was sent',
    fix: [SHOW, 'use the host name that the provider gives, not an alias of it'],
    example: "Hostname/IP does not match certificate's altnames: Host: localhost. is not in the cert's altnames",
  },
  {
    id: 'certificate-expired',
    sources: ['tls'],
    match: { words: /expired|not yet valid|CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/i },
    class: 'administrator',
    who: 'administrator',
    sentence: 'the certificate of {host} has expired, or the clock of this computer is wrong; nothing was sent',
    fix: ['date   # is that right?', 'tell the administrator of {host}'],
    admin: {
      subject: 'The certificate of {host} has expired',
      request: ['The certificate that {host} shows to mail programs has expired. Please renew it.'],
    },
    example: 'certificate has expired',
  },
  {
    id: 'certificate-untrusted',
    sources: ['tls'],
    match: { words: /certificate|self.signed|issuer|CERT/i },
    class: 'client configuration',
    who: 'you',
    sentence:
      'the certificate of {host} is not signed by a certificate authority (CA) that this computer trusts; nothing was sent',
    fix: [
      'cms account add {address} --ca-file FILE   # at a server with a private CA: trusts it, for this account',
      'elsewhere: another computer may have answered in place of {host}; try from another network',
    ],
    example: 'unable to verify the first certificate',
  },
  {
    id: 'no-starttls',
    sources: ['tls', 'net', 'smtp', 'imap', 'pop'],
    match: {
      words: /wrong version number|packet length too long|STARTTLS|STLS|unexpected greeting|encryption required/i,
    },
    class: 'client configuration',
    who: 'you',
    sentence:
      'TLS did not start as configured: ports 465, 993 and 995 use it immediately, 587, 143 and 110 after STARTTLS',
    fix: [
      SHOW,
      'cms account add {address} --smtp-port 465 --smtp-tls implicit   # or 587 and starttls',
      'cms account add {address} --imap-port 993 --imap-tls implicit   # or 143 and starttls',
    ],
    example: 'the server offers no STARTTLS',
  },
  {
    id: 'host-unknown',
    sources: ['net'],
    match: { words: /ENOTFOUND|ENODATA/ },
    class: 'client configuration',
    who: 'you',
    sentence: 'there is no host named {host}',
    fix: [SHOW, 'cms account add {address} --smtp-host HOST --imap-host HOST'],
    example: 'getaddrinfo ENOTFOUND smtp.example.invalid',
  },
  {
    id: 'name-service',
    sources: ['net'],
    match: { words: /EAI_AGAIN|EDNS|ESERVFAIL/ },
    class: 'transient',
    who: 'nobody: wait',
    sentence: 'host names cannot be looked up at the moment; usually there is no network',
    fix: ['check the network', AGAIN],
    example: 'getaddrinfo EAI_AGAIN smtp.example.org',
  },
  {
    id: 'ipv6-broken',
    sources: ['net'],
    match: {
      words: /(?:ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT) (?:[\da-f]*:){2,}\S*\d|no answer over IPv6/i,
    },
    class: 'transient',
    who: 'you',
    sentence: '{host} was tried over IPv6, which leads nowhere: its server is down, or IPv6 does not work from here',
    fix: [
      'getent ahosts {host}   # only IPv6 addresses: is that intended, or is an IPv4 address missing in /etc/hosts or the DNS?',
      'ping -6 -c 1 {host}   # does IPv6 work from here? without it, the name needs an IPv4 address',
      AGAIN,
    ],
    example: 'connect ECONNREFUSED 2001:db8::25:587',
  },
  {
    id: 'connection-refused',
    sources: ['net'],
    match: { words: /ECONNREFUSED/ },
    class: 'transient',
    who: 'nobody: wait',
    sentence: 'no server listens there: it is down, or the host or port is wrong',
    fix: [SHOW, AGAIN],
    example: 'connect ECONNREFUSED 127.0.0.1:587',
  },
  {
    id: 'connection-lost',
    sources: ['net', 'smtp', 'imap', 'pop', 'tls'],
    match: {
      words:
        /ETIMEDOUT|ECONNRESET|EHOSTUNREACH|ENETUNREACH|EPIPE|no answer (?:from|within)|closed the connection|socket hang up|disconnected|timed? ?out/i,
    },
    class: 'transient',
    who: 'nobody: wait',
    sentence: 'the connection could not be made, or was lost; a firewall or the provider may block the port',
    fix: [AGAIN, 'port 25 is blocked nearly everywhere: use 587 or 465'],
    example: 'no answer within 15000 ms',
  },
  {
    id: 'token-too-long',
    sources: ['token', 'oauth'],
    match: { words: /the (?:access )?token has \d+ bytes/ },
    class: 'client configuration',
    who: 'client owner',
    sentence: 'the token is so long that exim (4096 bytes a line) would freeze the message, and mail servers refuse it',
    fix: [
      'ask the administrator for fewer groups and claims in the token of {client_id}',
      'cms account add {address} --scope "a b"   # for the mail protocols only',
    ],
    example: 'the access token has 4200 bytes, more than mail servers and exim take (3000)',
  },
  {
    id: 'token-characters',
    sources: ['token', 'oauth'],
    match: { words: /access token with characters that RFC 6750 forbids/ },
    class: 'client configuration',
    who: 'administrator',
    sentence: 'the provider issues access tokens with characters that would break a login, so cms does not use them',
    fix: [
      'tell the administrator of the provider that access tokens must have the form of RFC 6750, section 2.1 (b64token)',
    ],
    example: 'the provider issued an access token with characters that RFC 6750 forbids',
  },
];
