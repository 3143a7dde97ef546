/** The main section, the access control list, retries and rewriting. */
import { formatListener, type EximOptions } from './options.ts';
import { lineOf, refusalBy } from './sender.ts';

export function mainSection(options: EximOptions): string {
  return `# Names of this host. Mail for them (root, cron) is handed to the account of the * line.
domainlist local_domains = ${localDomains(options)}
# Appended to a bare "root"; a name that is never a real mail domain.
qualify_domain = localhost

${listener(options)}
acl_smtp_rcpt = cms_rcpt
acl_smtp_data = cms_data
# No TLS is offered here, because it would need a certificate for this host.
tls_advertise_hosts =

# Without these exim replaces the sender that a program gives with user@host, and the wrong account would send.
# So every local user can send as every account of the smart-hosts file, unless its line has users=.
untrusted_set_sender = *
local_from_check = false
local_sender_retain = true
# Every local user may run the queue: exim4 -qff
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

/** After the routers, which define the macros. */
export function aclSection(options: EximOptions): string {
  return `begin acl

# A relay for this host alone: the empty item is sendmail -bs, @[] are the addresses of our own interfaces.
cms_rcpt:
  accept hosts = : 127.0.0.1 : ::1 : @[]
         control = submission/sender_retain
  deny   message = relay not permitted

# A local user who may not send with a line (users=) is told so during submission.
cms_data:
  warn   set acl_m_cms_sender = CMS_MAIL_OF
         set acl_m_cms_line = ${lineOf('$acl_m_cms_sender', options)}
         set acl_m_cms_users = \${extract{users}{$acl_m_cms_line}}
         set acl_m_cms_account = \${extract{account}{$acl_m_cms_line}{$value}{\${extract{user}{$acl_m_cms_line}}}}
         set acl_m_cms_refused = ${refusalBy('$acl_m_cms_users', '$acl_m_cms_account')}
  deny   condition = \${if !eq{$acl_m_cms_refused}{}}
         message = $acl_m_cms_refused
  accept
`;
}

/** The rules without which one account would make others wait. */
export const SENDER_RETRY = `# A server that cannot be reached, and a mail that it defers, are tried again for four days.
* refused F,4d,5m
* timeout F,4d,5m
* lost_connection F,4d,5m
* lookup F,4d,5m
* tls_required F,4d,5m
* mail_4xx F,4d,5m
* rcpt_4xx F,4d,1s
* data_4xx F,4d,5m
# A retry rule counts from the first mail that failed, to one recipient or at one host; once its time is over, exim
# returns later mail immediately. So no rule ends for mail that waits for a person: a router returns each mail by its
# own age (cms_ready, cms_late). Exim records what a router deferred by recipient (for hosts the local part is *). The
# next mail to the same recipient may come from another sender, so it waits as briefly as possible.
^[^*] * F,520w,1s
# A refused login, temporary or permanent, does not count against the host: see cms_smtp.
* auth_failed F,520w,1s
^[*]@ * F,520w,1s
`;

/** For Debian's own routers and transports. */
export const LOCAL_RETRY = `# Mail for this host is Debian's.
*@+local_domains * F,2h,15m; G,16h,1h,1.5; F,4d,6h
`;

export const RETRY_SECTION = `begin retry

${SENDER_RETRY}# Everything else.
* * F,4d,5m
`;

export function rewriteSection({ smartHostsFile }: EximOptions): string {
  return `begin rewrite

# user@host is meaningless outside this host: in From:, Reply-To: and Sender: it becomes the address of the * line.
# The envelope is left alone, because the routers still need to see that it was local.
*@+local_domains "\${if match{${defaultAddress(smartHostsFile)}}{.+@.+}{$0}fail}" frs
`;
}

/** Expansion: the address of the account that the `*` line names, empty without one. */
export function defaultAddress(smartHostsFile: string): string {
  return `\${lookup{*}lsearch{${smartHostsFile}}{\${extract{account}{$value}{$value}{\${extract{user}{$value}}}}}}`;
}
