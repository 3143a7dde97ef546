/** Routers: which line is the sender's, may its account send now, and where to. */
import { defaultAddress } from './main.ts';
import type { EximOptions } from './options.ts';
import { ACCOUNT, field } from './fields.ts';

// Longer than the broker takes to answer (it gives up after 4 s), shorter than anybody's patience.
export const BROKER_TIMEOUT = '20s';

export function routersSection({ smartHostsFile }: EximOptions): string {
  return `begin routers

# Mail for this host goes to the account of the * line.
cms_local:
  driver = redirect
  domains = +local_domains
  address_data = ${defaultAddress(smartHostsFile)}
  data = \${if match{$address_data}{.+@.+}{$0}{:defer: cms: no * line in ${smartHostsFile}, nobody to give this mail to}}
  allow_defer

# Whose mail is it? The envelope sender's; where a program left that to exim, whoever stands in From:.
# The line is looked up once, by address, by domain, then *; all that follows reads it from $address_data.
cms_line:
  driver = redirect
  set = r_sender = \${if match_domain{$sender_address_domain}{+local_domains}{\${lc:\${address:$h_from:}}}{$sender_address}}
  address_data = \${lookup{$r_sender}lsearch{${smartHostsFile}}{$value}\\
    {\${lookup{\${domain:$r_sender}}lsearch{${smartHostsFile}}{$value}{\${lookup{*}lsearch{${smartHostsFile}}}}}}}
  data = \${if eq{${field('host')}}{}{:defer: cms: no line for <$r_sender> and no * line in ${smartHostsFile}}}
  allow_defer
  retry_use_local_part

# A line may name the local users that it serves: users=alice,root
# The account that the broker is asked for is the user, unless the line says another.
cms_allowed:
  driver = redirect
  address_data = $address_data account=${field('user')}
  data = \${if or{{eq{${field('users')}}{}}{inlisti{$sender_ident}{<, ${field('users')}}}}\\
    {}{:fail: this local user may not send as ${ACCOUNT}}}
  allow_fail

# Ask the broker before any connection: it answers nothing when it has a token, else one line that says what to do.
# Deferring here leaves no mark on the host, so that the other accounts there go on sending.
cms_ready:
  driver = redirect
  data = \${if !eq{${field('oauth')}}{}\\
    {\${sg{\${readsocket{${field('oauth')}}{SMTP\${if eq{${field('auth')}}{password}{,password}},ready ${ACCOUNT}}\\
    {${BROKER_TIMEOUT}}{}{cms: the broker is not running: cms serve}}}{\\N(?s)^.+$\\N}{:defer: \\$0}}}}
  allow_defer
  retry_use_local_part

# self = send: a smart host on this very machine is still a smart host. An unknown name is tried again, not frozen.
cms_smart_host:
  driver = manualroute
  route_data = ${field('host')}
  transport = \${if or{{eq{${field('tls')}}{implicit}}{match{${field('host')}}{\\N:465$\\N}}}{cms_smtps}{cms_smtp}}
  self = send
  host_find_failed = defer
  no_more
`;
}
