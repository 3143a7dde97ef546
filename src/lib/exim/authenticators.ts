/** Client authenticators. Nothing is sent without TLS, and nothing that does not look like what it should be. */
import { ACCOUNT, field } from './fields.ts';
import { BROKER_TIMEOUT } from './routers.ts';

const TLS = '{!eq{$tls_out_cipher}{}}';
const BY_PASSWORD = `or{{eq{${field('oauth')}}{}}{eq{${field('auth')}}{password}}}`;

// RFC 6750 b64token. Base64 of 3069 bytes is the longest line that exim can send; one more freezes the message.
const XOAUTH2 = '\\N^(?=.{1,3069}$)user=([^\\x01]+)(\\x01auth=Bearer [-A-Za-z0-9._~+/]+=*\\x01\\x01)$\\N';

function ask(option: string): string {
  return `\${readsocket{${field('oauth')}}{SMTP${option} ${ACCOUNT}}{${BROKER_TIMEOUT}}}`;
}

/** Exim turns a single `^` into NUL, which separates the parts of PLAIN; a doubled one is itself. */
function carets(expansion: string): string {
  return `\${sg{${expansion}}{\\N\\^\\N}{^^}}`;
}

export const AUTHENTICATORS_SECTION = `begin authenticators

# The broker answers the whole XOAUTH2 string. Anything else, above all an empty answer, abandons the login ("fail"):
# the mail waits and the server sees no failed attempt. The empty first item waits for the server's 334, as several
# demand; the empty last one answers its challenge after a refusal, so that the real error is logged. The user is the
# one that the broker names, unless the line tells user= and account= apart.
cms_xoauth2:
  driver = plaintext
  public_name = XOAUTH2
  client_condition = \${if and{${TLS}{!${BY_PASSWORD}}}}
  client_ignore_invalid_base64 = true
  client_set_id = ${field('user')}
  client_send = <; ; \${if match{${ask('')}}\\
    {${XOAUTH2}}\\
    {user=\${if eq{${field('user')}}{${ACCOUNT}}{$1}{${field('user')}}}$2}fail} ; ;

# Passwords: from the broker for auth=password, else as written in the line.
CMS_PASSWORD = \${if eq{${field('auth')}}{password}\\
  {\${if match{${ask(',password')}}{\\N^([^\\x00-\\x1f\\x7f]+)$\\N}{$1}fail}}\\
  {\${extract{password}{$address_data}{$value}fail}}}

cms_plain:
  driver = plaintext
  public_name = PLAIN
  client_condition = \${if and{${TLS}{${BY_PASSWORD}}}}
  client_set_id = ${field('user')}
  client_send = <; ^${carets(field('user'))}^${carets('CMS_PASSWORD')}

# For servers that know no PLAIN.
cms_login:
  driver = plaintext
  public_name = LOGIN
  client_condition = \${if and{${TLS}{${BY_PASSWORD}}}}
  client_set_id = ${field('user')}
  client_send = <; ; ${carets(field('user'))} ; ${carets('CMS_PASSWORD')}
`;
