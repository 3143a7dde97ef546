/** Routers: which line is the sender's, may its account send now, and where to. */
import { FIELDS } from './line-fields.ts';
import { defaultAddress } from './main.ts';
import type { EximOptions } from './options.ts';
import { IS_LATE, lineOf, refusalBy, SENDER_MACROS, WAIT } from './sender.ts';

// Longer than the broker takes to answer (it gives up after 4 s), shorter than anybody's patience.
export const BROKER_TIMEOUT = '20s';

export function routersSection(options: EximOptions): string {
  return `begin routers

${HANDED_BACK_ROUTER}
${localRouter(options)}
${senderRouters(options)}`;
}

const HANDED_BACK_ROUTER = `# Mail that a local user may not send goes to that user's own mailbox on this host (see cms_refused).
cms_handed_back:
  driver = accept
  condition = \${if !eq{$r_refused}{}}
  domains = localhost
  check_local_user
  transport = cms_mailbox
`;

function localRouter({ smartHostsFile }: EximOptions): string {
  return `# Mail for this host goes to the account of the * line.
cms_local:
  driver = redirect
  domains = +local_domains
  address_data = ${defaultAddress(smartHostsFile)}
  data = \${if match{$address_data}{.+@.+}{$0}\\
    {${WAIT} cms: no * line in ${smartHostsFile}, so no account can take this mail}}
  allow_defer
  allow_fail
`;
}

/** What every mail to elsewhere passes. */
export function senderRouters(options: EximOptions): string {
  const { smartHostsFile } = options;
  return `${SENDER_MACROS}
# The line of the sender is looked up once: by address, by address without the + and what follows (bob+list is bob),
# by domain, then *.
cms_line:
  driver = redirect
  set = r_sender = CMS_MAIL_OF
  address_data = ${lineOf('$r_sender', options)}
  data = \${if eq{\${extract{host}{$address_data}}}{}\\
    {${WAIT} cms: no line for <$r_sender> and no * line in ${smartHostsFile}}}
  allow_defer
  allow_fail
  retry_use_local_part

# The fields of the line, for the routers and transports below. Exim asks the broker for the account in account=, or
# in user= if there is none. Without a socket, or with auth=password, the login uses a password. Each request names the
# server that exim will log in to, from host= of this line; the broker answers only for the account's own server.
# A line may name the local users who may send with it: users=alice,root
cms_fields:
  driver = redirect
${FIELDS}
  set = r_refused = ${refusalBy('$r_users', '$r_account')}
  data = \${if and{{!eq{$r_socket}{}}{eq{$r_host}{}}}{${WAIT} cms: the line of $r_account has no host=NAME::PORT}}
  allow_defer
  allow_fail
  retry_use_local_part

# Mail that a local user may not send goes back to that user, on this host, not to the owner of the account.
cms_refused:
  driver = redirect
  condition = \${if !eq{$r_refused}{}}
  data = \${if or{{eq{$sender_ident}{}}{eq{$sender_ident}{root}}}{:fail: $r_refused}{$sender_ident@localhost}}
  allow_fail
  errors_to =
  headers_remove = subject
  headers_add = Subject: Not sent ($r_refused): \${sg{\${sg{$rh_subject:}{\\N^\\s+|\\s+$\\N}{}}}{\\N\\s+\\N}{ }}

# Ask the broker before connecting: it answers nothing if it has a token, else one line that says what to do. Deferring
# here is not recorded for the host, so other accounts on that server go on sending. A mail older than 14 days goes back
# to its sender instead of waiting longer.
cms_ready:
  driver = redirect
  data = \${if !eq{$r_socket}{}\\
    {\${sg{\${readsocket{$r_socket}{$r_ask\${if eq{$r_auth}{password}{,password}},ready $r_account}\\
    {${BROKER_TIMEOUT}}{}{cms: the broker is not running: cms serve}}}{\\N(?s)^.+$\\N}{${WAIT} \\$0}}}}
  allow_defer
  allow_fail
  retry_use_local_part

# So does a mail that was tried when it was that old, and deferred (see CMS_TRIED), for example by a refused login.
cms_late:
  driver = redirect
  condition = \${if and{{${IS_LATE}}{acl{{accept ratelimit = 0.5 / 1d / per_cmd / readonly / cms-$message_exim_id}}}}}
  data = :fail: cms: it could not be sent for 14 days as $r_account; the log of exim says why
  allow_fail

# self = send: a smart host on this machine is still a smart host. An unknown host name is tried again, not frozen.
cms_smart_host:
  driver = manualroute
  condition = \${if eq{$r_refused}{}}
  route_data = \${extract{host}{$address_data}}
  transport = \${if eq{$r_tls}{implicit}{cms_smtps}{cms_smtp}}
  self = send
  host_find_failed = defer
  retry_use_local_part
  no_more
`;
}
