/** The published example: the generator's own output, with lines of a smart-hosts file in its header. */
import { renderConfig } from './config.ts';
import { DEFAULT_OPTIONS, DEFAULT_SMART_HOSTS_FILE } from './options.ts';
import { renderBlock } from '../smart-hosts/smart-hosts-file.ts';
import type { SmartHost } from '../smart-hosts/smart-hosts.ts';

const SOCKET = '/run/cms/jane/exim.sock';

const LINES: SmartHost[] = [
  line('jane@example.org', 'smtp.example.org'),
  { ...line('office@example.org', 'smtp.example.org'), user: 'jane@example.org' },
  {
    ...line('jane@example.net', 'mail.example.net'),
    server: { host: 'mail.example.net', port: 465, tls: 'implicit' },
    auth: 'password',
  },
  { ...line('jane@example.org', 'smtp.example.org'), key: '*' },
];

const BY_HAND = `example.com: host=smtp.example.com::587 helo=laptop user=jane@example.com oauth=${SOCKET}
bob@example.com: host=smtp.example.com::587 user=bob@example.com password=secret users=bob,root`;

/** Text of `doc/example-exim4.conf`. */
export function renderExample(): string {
  const header = `An example, as "cms exim-config" prints it. It needs no change but the lines in ${DEFAULT_SMART_HOSTS_FILE},
which "cms exim-config --install" writes from your accounts (root:Debian-exim, mode 0640):

${renderBlock('jane', LINES)}
You may add lines of your own outside that block. The key is an address, a domain, or * for all other senders:

${BY_HAND}

Fields: host=NAME::PORT; tls=implicit for TLS from the first byte (understood for port 465); helo= the name in EHLO;
user= the login name; account= the account to ask the broker for, if it is not the user; oauth= the broker's socket;
auth=password to ask the broker for an app password; password= a password in clear; users= local users who may send.`;
  return `${header.replace(/^/gm, '# ').replace(/ +$/gm, '')}\n\n${renderConfig(DEFAULT_OPTIONS)}`;
}

function line(address: string, host: string): SmartHost {
  return {
    key: address,
    server: { host, port: 587, tls: 'starttls' },
    user: address,
    account: address,
    oauth: SOCKET,
  };
}
