/** Client authenticators. Nothing is sent without TLS, and nothing that does not look like what it should be. */
import { BROKER_TIMEOUT } from './routers.ts';

/** Bytes; base64 of so many is the longest line that exim can send, one more freezes the message. */
export const LONGEST_SASL = 3069;
// RFC 6750 b64token.
const LONGEST = `(?=.{1,${LONGEST_SASL}}$)`;
const XOAUTH2 = `\\N^${LONGEST}user=([^\\x01]+)(\\x01auth=Bearer [-A-Za-z0-9._~+/]+=*\\x01\\x01)$\\N`;
const OAUTHBEARER = `\\N^${LONGEST}n,.*\\x01auth=Bearer .*$\\N`;
const WITH_TLS = '!eq{$tls_out_cipher}{}';
const BY_TOKEN = `\${if and{{${WITH_TLS}}{eq{$r_auth}{token}}{eq{$acl_m_cms_sent}{}}}}`;
const BY_PASSWORD = `\${if and{{${WITH_TLS}}{eq{$r_auth}{password}}}}`;

export const AUTHENTICATORS_SECTION = `begin authenticators

# Notes that the login has begun, and that a token has gone out, for the transports. Both are empty.
CMS_BEGUN = \${acl{accept set acl_m_cms_login = yes}}
CMS_SENT = \${acl{accept set acl_m_cms_sent = yes}}

# The broker answers the whole XOAUTH2 string. Anything else, above all an empty answer, abandons the login ("fail"):
# the mail waits and the server sees no failed attempt. The empty first item waits for the server's 334, as several
# demand; the empty last one answers its challenge after a refusal, so that the real error is logged. The user is the
# one that the broker names, unless the line tells user= and account= apart.
CMS_TOKEN = \${if match{\${readsocket{$r_socket}{$r_ask $r_account}{${BROKER_TIMEOUT}}}}\\
  {${XOAUTH2}}

cms_xoauth2:
  driver = plaintext
  public_name = XOAUTH2
  client_condition = ${BY_TOKEN}
  client_ignore_invalid_base64 = true
  client_set_id = $r_user
  client_send = <; CMS_BEGUN ; CMS_TOKEN\\
    {CMS_SENT\${sg{user=\${if eq{$r_user}{$r_account}{$1}{$r_user}}$2}{\\N\\^\\N}{^^}}}fail} ; ;

# The same for servers that do not know XOAUTH2 (RFC 7628).
cms_oauthbearer:
  driver = plaintext
  public_name = OAUTHBEARER
  client_condition = ${BY_TOKEN}
  client_ignore_invalid_base64 = true
  client_set_id = $r_user
  client_send = <; CMS_BEGUN ; CMS_TOKEN\\
    {\${if match{n,a=\${sg{\${sg{\${if eq{$r_user}{$r_account}{$1}{$r_user}}}{=}{=3D}}}{,}{=2C}},\\x01host=$r_host\\x01port=$r_port$2}\\
    {${OAUTHBEARER}}{CMS_SENT\${sg{$0}{\\N\\^\\N}{^^}}}fail}}fail} ; \\x01

# Passwords: from the broker for auth=password, else as written in the line.
CMS_PASSWORD = \${if eq{$r_socket}{}{\${extract{password}{$address_data}{$value}fail}}\\
  {\${if match{\${readsocket{$r_socket}{$r_ask,password $r_account}{${BROKER_TIMEOUT}}}}{\\N^([^\\x00-\\x1f\\x7f]+)$\\N}{$1}fail}}}

# A single ^ stands for NUL here, a doubled one for itself; a password cannot begin with one, LOGIN is for those.
cms_plain:
  driver = plaintext
  public_name = PLAIN
  client_condition = ${BY_PASSWORD}
  client_ignore_invalid_base64 = true
  client_set_id = $r_user
  client_send = <; CMS_BEGUN ; ^\${sg{$r_user}{\\N\\^\\N}{^^}}^\\
    \${if match{CMS_PASSWORD}{\\N^[^^].*$\\N}{\${sg{$0}{\\N\\^\\N}{^^}}}fail}

# For servers that know no PLAIN.
cms_login:
  driver = plaintext
  public_name = LOGIN
  client_condition = ${BY_PASSWORD}
  client_ignore_invalid_base64 = true
  client_set_id = $r_user
  client_send = <; CMS_BEGUN ; \${sg{$r_user}{\\N\\^\\N}{^^}} ; \${sg{CMS_PASSWORD}{\\N\\^\\N}{^^}}
`;
