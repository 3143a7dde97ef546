/** Routers: which line is the sender's, may its account send now, and where to. */
import { defaultAddress } from './main.ts';
import type { EximOptions } from './options.ts';

// Longer than the broker takes to answer (it gives up after 4 s), shorter than anybody's patience.
export const BROKER_TIMEOUT = '20s';

export function routersSection(options: EximOptions): string {
  return `begin routers

${localRouter(options)}
${senderRouters(options)}`;
}

function localRouter({ smartHostsFile }: EximOptions): string {
  return `# Mail for this host goes to the account of the * line.
cms_local:
  driver = redirect
  domains = +local_domains
  address_data = ${defaultAddress(smartHostsFile)}
  data = \${if match{$address_data}{.+@.+}{$0}\\
    {:defer: cms: no * line in ${smartHostsFile}, nobody to give this mail to}}
  allow_defer
`;
}

/** What every mail to elsewhere passes. */
export function senderRouters({ smartHostsFile }: EximOptions): string {
  return `# Whose mail is it? The envelope sender's; where a program left that to exim, whoever stands in From:.
# The line is looked up once, by address, by domain, then *.
cms_line:
  driver = redirect
  set = r_sender = \${if match_domain{$sender_address_domain}{+local_domains}{\${lc:\${address:$h_from:}}}{$sender_address}}
  address_data = \${lookup{$r_sender}lsearch{${smartHostsFile}}{$value}\\
    {\${lookup{\${domain:$r_sender}}lsearch{${smartHostsFile}}{$value}{\${lookup{*}lsearch{${smartHostsFile}}}}}}}
  data = \${if eq{\${extract{host}{$address_data}}}{}\\
    {:defer: cms: no line for <$r_sender> and no * line in ${smartHostsFile}}}
  allow_defer
  retry_use_local_part

# What the line says, for all that follows. The account that the broker is asked for is the user, unless account= is
# there. Without a socket, or with auth=password, the login is by password.
# A line may name the local users that it serves: users=alice,root
cms_fields:
  driver = redirect
  set = r_user = \${extract{user}{$address_data}}
  set = r_account = \${extract{account}{$address_data}{$value}{$r_user}}
  set = r_socket = \${extract{oauth}{$address_data}}
  set = r_auth = \${if or{{eq{$r_socket}{}}{eq{\${extract{auth}{$address_data}}}{password}}}{password}{token}}
  set = r_users = \${extract{users}{$address_data}}
  data = \${if or{{eq{$r_users}{}}{inlisti{$sender_ident}{<, $r_users}}}\\
    {}{:fail: this local user may not send as $r_account}}
  allow_fail

# Ask the broker before any connection: it answers nothing when it can help, else one line that says what to do.
# Deferring here leaves no mark on the host, so that the other accounts there go on sending.
cms_ready:
  driver = redirect
  data = \${if !eq{$r_socket}{}\\
    {\${sg{\${readsocket{$r_socket}{SMTP\${if eq{$r_auth}{password}{,password}},ready $r_account}\\
    {${BROKER_TIMEOUT}}{}{cms: the broker is not running: cms serve}}}{\\N(?s)^.+$\\N}{:defer: \\$0}}}}
  allow_defer
  retry_use_local_part

# self = send: a smart host on this very machine is still a smart host. An unknown name is tried again, not frozen.
cms_smart_host:
  driver = manualroute
  route_data = \${extract{host}{$address_data}}
  transport = \${if or{{eq{\${extract{tls}{$address_data}}}{implicit}}{match{\${extract{host}{$address_data}}}{\\N:465$\\N}}}\\
    {cms_smtps}{cms_smtp}}
  self = send
  host_find_failed = defer
  no_more
`;
}
