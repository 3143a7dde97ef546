/** The main section, the access control list, retries and rewriting. */
import { formatListener, type EximOptions } from './options.ts';

export function mainSection(options: EximOptions): string {
  return `# Names of this host. Mail for them (root, cron) is handed to the account of the * line.
domainlist local_domains = ${localDomains(options)}
# What a bare "root" becomes; a name that is never anybody's real mail domain.
qualify_domain = localhost

${listener(options)}
acl_smtp_rcpt = cms_rcpt
# Nothing is offered here that would need a certificate of our own.
tls_advertise_hosts =

# Without these exim replaces the sender that a program gives with user@host, and the wrong account would send.
# Every local user can thereby send as every account of the smart-hosts file, unless its line says users=.
untrusted_set_sender = *
local_from_check = false
# Whoever waits for a mail may push the queue: exim4 -qff
prod_requires_admin = false

never_users = root
keep_environment =
add_environment = <; PATH=/bin:/usr/bin
log_selector = +smtp_protocol_error +sender_on_delivery
ignore_bounce_errors_after = 2d
timeout_frozen_after = 7d
`;
}

function localDomains({ localDomains, ownNameIsLocal }: EximOptions): string {
  return [...(ownNameIsLocal ? ['@'] : []), 'localhost', ...localDomains.filter((d) => d !== 'localhost')].join(' : ');
}

function listener({ listen }: EximOptions): string {
  if (listen === undefined) {
    return `# Mail comes in through /usr/sbin/sendmail only; no port is opened.
local_interfaces =`;
  }
  return `# Mail comes in through /usr/sbin/sendmail, and over SMTP here.
local_interfaces = <; ${formatListener(listen).replace(/^([\d.]+):/, '[$1]:')}`;
}

export const ACL_SECTION = `begin acl

# A relay for this host alone: the empty item is sendmail -bs, @[] are the addresses of our own interfaces.
cms_rcpt:
  accept hosts = : 127.0.0.1 : ::1 : @[]
         control = submission/sender_retain
  deny   message = relay not permitted
`;

/** The rules without which one account would make others wait. */
export const SENDER_RETRY = `# What a router deferred is noted by recipient (with hosts the local part is *). The next mail to the same recipient
# may be another sender's, so it waits no longer than it must.
^[^*] * F,4d,1s
# A refused login is no fault of the host: other accounts there must not wait for it.
* auth_failed F,4d,1s
`;

export const RETRY_SECTION = `begin retry

${SENDER_RETRY}# Everything else is tried for four days, which is the time there is to sign in anew.
* * F,4d,5m
`;

export function rewriteSection({ smartHostsFile }: EximOptions): string {
  return `begin rewrite

# user@host means nothing to anybody outside: in From:, Reply-To: and Sender: it becomes the address of the * line.
# The envelope is left alone, the routers still need to see that it was local.
*@+local_domains "\${if match{${defaultAddress(smartHostsFile)}}{.+@.+}{$0}fail}" frs
`;
}

/** Expansion: the address of the account that the `*` line names, empty without one. */
export function defaultAddress(smartHostsFile: string): string {
  return `\${lookup{*}lsearch{${smartHostsFile}}{\${extract{account}{$value}{$value}{\${extract{user}{$value}}}}}}`;
}
