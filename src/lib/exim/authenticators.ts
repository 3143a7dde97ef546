/** Client authenticators. Nothing is sent without TLS, and nothing that does not look like what it should be. */
import { BROKER_TIMEOUT } from './routers.ts';

// RFC 6750 b64token. Base64 of 3069 bytes is the longest line that exim can send; one more freezes the message.
const XOAUTH2 = '\\N^(?=.{1,3069}$)user=([^\\x01]+)(\\x01auth=Bearer [-A-Za-z0-9._~+/]+=*\\x01\\x01)$\\N';
const WITH_TLS = '!eq{$tls_out_cipher}{}';

export const AUTHENTICATORS_SECTION = `begin authenticators

# The broker answers the whole XOAUTH2 string. Anything else, above all an empty answer, abandons the login ("fail"):
# the mail waits and the server sees no failed attempt. The empty first item waits for the server's 334, as several
# demand; the empty last one answers its challenge after a refusal, so that the real error is logged. The user is the
# one that the broker names, unless the line tells user= and account= apart.
cms_xoauth2:
  driver = plaintext
  public_name = XOAUTH2
  client_condition = \${if and{{${WITH_TLS}}{eq{$r_auth}{token}}}}
  client_ignore_invalid_base64 = true
  client_set_id = $r_user
  client_send = <; ; \${if match{\${readsocket{$r_socket}{SMTP $r_account}{${BROKER_TIMEOUT}}}}\\
    {${XOAUTH2}}\\
    {user=\${if eq{$r_user}{$r_account}{$1}{$r_user}}$2}fail} ; ;

# A token that was refused gets as far as the next authenticator, and this stops it there on purpose: as an error of
# our own, which exim does not hold against the host. Otherwise everybody else's mail would wait for this account.
CMS_TOKEN_REFUSED = \${if bool{\${if eq{$r_auth}{token}\\
  {\${readsocket{$r_socket}{SMTP,refused $r_account}{2s}{}{}}no login with the token of $r_account}}}}

# Passwords: from the broker for auth=password, else as written in the line.
CMS_PASSWORD = \${if eq{$r_socket}{}{\${extract{password}{$address_data}{$value}fail}}\\
  {\${if match{\${readsocket{$r_socket}{SMTP,password $r_account}{${BROKER_TIMEOUT}}}}{\\N^([^\\x00-\\x1f\\x7f]+)$\\N}{$1}fail}}}

# A single ^ stands for NUL here, a doubled one for itself; a password cannot begin with one, LOGIN is for those.
cms_plain:
  driver = plaintext
  public_name = PLAIN
  client_condition = \${if ${WITH_TLS}}
  client_ignore_invalid_base64 = true
  client_set_id = $r_user
  client_send = <; CMS_TOKEN_REFUSED ; ^\${sg{$r_user}{\\N\\^\\N}{^^}}^\\
    \${if match{CMS_PASSWORD}{\\N^[^^].*$\\N}{\${sg{$0}{\\N\\^\\N}{^^}}}fail}

# For servers that know no PLAIN.
cms_login:
  driver = plaintext
  public_name = LOGIN
  client_condition = \${if ${WITH_TLS}}
  client_ignore_invalid_base64 = true
  client_set_id = $r_user
  client_send = <; CMS_TOKEN_REFUSED ; \${sg{$r_user}{\\N\\^\\N}{^^}} ; \${sg{CMS_PASSWORD}{\\N\\^\\N}{^^}}
`;
