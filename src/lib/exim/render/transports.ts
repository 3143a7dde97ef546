/** Transports: TLS or nothing, a login or nothing, one message per connection. */
import { type EximOptions, SYSTEM_TRUST } from './options.ts';
import { IS_LATE } from './sender.ts';

export function transportsSection(options: EximOptions): string {
  return `begin transports

# A sender of this host is replaced by the account's address, which servers accept and bounces reach. So is the empty
# sender of exim's own reports: many servers refuse mail with an empty sender after a login.
CMS_RETURN_PATH = \${if and{{match{$r_account}{@}}{or{{match_domain{$sender_address_domain}{+local_domains}}\\
  {and{{eq{$sender_address}{}}{={$originator_uid}{$exim_uid}}}}}}}{$r_account}{$sender_address}}
# Tells the broker that the server refused the token; the broker fetches a new one.
CMS_REFUSED = \${if and{{eq{$event_name}{msg:host:defer}}{match{$event_data}{authentication attempt}}{!eq{$acl_m_cms_sent}{}}}\\
  {\${readsocket{$r_socket}{$r_ask,refused $r_account}{2s}{}{}}}}

# Records for a day that a mail was tried and deferred after it had waited as long as mail may: see cms_late.
CMS_TRIED = \${if and{{eq{$event_name}{msg:host:defer}}{${IS_LATE}}\\
  {acl{{accept ratelimit = 0.5 / 1d / per_cmd / strict / cms-$message_exim_id}}}}{}{}}

# One message per connection: exim would send the next one, of another account, through the login of the first.
# TLS and a login are required. The certificate and its name must be valid, because a stolen token can send and read
# mail. Long lines are left to the server: exim would return mail of programs that do not break their lines.
# A failure from the login on (acl_m_cms_login, set by the authenticators) concerns only the server and one account: it
# is recorded without the IP address, under a name that no other delivery looks up, so other accounts do not wait.
cms_smtp:
${transport(options, 'port = 587')}
# The same with TLS from the first byte (port 465).
cms_smtps:
${transport(options, 'protocol = smtps')}
# The mailbox of a user of this host, for mail that the user may not send.
cms_mailbox:
  driver = appendfile
  file = /var/mail/$local_part_data
  group = mail
  mode = 0660
  mode_fail_narrower = false
  delivery_date_add
  envelope_to_add
  return_path_add
`;
}

function transport({ caFile, helo }: EximOptions, first: string): string {
  return `  driver = smtp
  ${first}
  connection_max_messages = 1
  hosts_require_auth = *
  hosts_require_tls = *
  tls_tempfail_tryclear = false
  tls_verify_certificates = ${caFile ?? SYSTEM_TRUST}
  tls_verify_hosts = *
  tls_verify_cert_hostnames = *
  tls_sni = \${if isip{$host}{}{$host}}
  message_linelength_limit = 1M
  helo_data = \${extract{helo}{$address_data}{$value}{${helo ?? '$primary_hostname'}}}
  return_path = CMS_RETURN_PATH
  retry_include_ip_address = \${if eq{$acl_m_cms_login}{}{yes}{no}}
  event_action = CMS_TRIED\\
    CMS_REFUSED
`;
}
