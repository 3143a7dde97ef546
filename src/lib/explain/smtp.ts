/** What submission servers say at the login and to a message, the specific before the general. @see RFC 4954, RFC 5321 */
import type { Entry } from './entry.ts';

const SIGN_IN = 'cms account add {address}';
const REFRESH = 'cms token {address} --force-refresh';
const MAILBOX_SWITCH = 'Set-CASMailbox -Identity {user} -SmtpClientAuthenticationDisabled $false';
const TENANT_SWITCH = 'Set-TransportConfig -SmtpClientAuthenticationDisabled $false';
const SMTP_AUTH_PAGE = 'https://aka.ms/smtp_auth_disabled';
const APP_PASSWORD = `${SIGN_IN} --password-file FILE   # with a new app password`;

/** In the words of cms, about what the server said to two names. */
const OTHER_USER: readonly Entry[] = (['smtp', 'imap'] as const).map((flag) => ({
  id: `${flag}-other-user`,
  sources: flag === 'smtp' ? ['smtp'] : ['imap', 'pop'],
  match: { words: /^the login as \S+ is refused; the server accepts the login as / },
  class: 'client configuration',
  who: 'you',
  sentence: `the server knows you by another user name than the stored one (${flag}_user)`,
  fix: [`${SIGN_IN} --${flag}-user {user}`],
  example: 'the login as jane@example.org is refused; the server accepts the login as jd@example.org',
}));

const EXCHANGE: readonly Entry[] = [
  {
    id: 'smtp-auth-off-tenant',
    sources: ['smtp'],
    match: { words: /SmtpClientAuthentication is disabled for the Tenant/i },
    class: 'administrator',
    who: 'administrator',
    sentence: 'sending over SMTP is disabled for the whole organisation, with OAuth as well; the sign-in is fine',
    fix: [MAILBOX_SWITCH, `${TENANT_SWITCH}   # for every mailbox without its own setting`],
    link: SMTP_AUTH_PAGE,
    admin: {
      subject: 'Please allow {user} to send mail over SMTP',
      request: [
        'Our organisation has authenticated SMTP switched off, so {host} refuses my mail program, although it logs in with',
        'OAuth (modern authentication). In Exchange Online PowerShell, one command allows it for this mailbox alone:',
        '  Connect-ExchangeOnline',
        `  ${MAILBOX_SWITCH}`,
        'or for the whole organisation:',
        `  ${TENANT_SWITCH}`,
        'It may take a quarter of an hour. Where the security defaults of Entra are on, they switch it off as well.',
      ],
    },
    example:
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.',
  },
  {
    id: 'smtp-auth-off-mailbox',
    sources: ['smtp'],
    match: { words: /SmtpClientAuthentication is disabled for the Mailbox/i },
    class: 'administrator',
    who: 'administrator',
    sentence: 'sending over SMTP is disabled for this mailbox, with OAuth as well; the sign-in is fine',
    fix: [MAILBOX_SWITCH],
    link: SMTP_AUTH_PAGE,
    admin: {
      subject: 'Please allow {user} to send mail over SMTP',
      request: [
        'Authenticated SMTP is switched off for the mailbox {user}, so {host} refuses my mail program, although it logs in',
        'with OAuth (modern authentication). In Exchange Online PowerShell, this allows it:',
        '  Connect-ExchangeOnline',
        `  ${MAILBOX_SWITCH}`,
        'The same switch is in the Microsoft 365 admin center: the user, Mail, Manage email apps, Authenticated SMTP.',
        'It may take a quarter of an hour.',
      ],
    },
    example:
      '535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.',
  },
  {
    id: 'smtp-security-defaults',
    sources: ['smtp'],
    match: { words: /5\.7\.139\b.*(?:locked by your organi[sz]ation's security defaults|did not meet the criteria)/i },
    class: 'administrator',
    who: 'administrator',
    sentence: 'a rule of the organisation (security defaults, Conditional Access) blocks this login',
    fix: ['ask the administrator to allow the client {client_id}', MAILBOX_SWITCH],
    admin: {
      subject: 'A policy blocks {user} from sending mail over SMTP',
      request: [
        '{host} refuses the login of {user} because of the security defaults or of a Conditional Access policy (535',
        '5.7.139). The sign-in logs of the Entra admin center name it. Please let this client through: {client_id}',
        'and make sure that authenticated SMTP is on for the mailbox, in Exchange Online PowerShell:',
        '  Connect-ExchangeOnline',
        `  ${MAILBOX_SWITCH}`,
      ],
    },
    example:
      "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator.",
  },
  {
    id: 'smtp-basic-off',
    sources: ['smtp', 'imap', 'pop'],
    match: { words: /5\.7\.30\b|basic authentication is (?:not supported|disabled)/i },
    class: 'client configuration',
    who: 'you',
    sentence: 'Microsoft no longer accepts passwords for mail, including app passwords',
    fix: [
      'cms account remove {address}   # then sign in with OAuth:',
      `${SIGN_IN} --client-id ID   # your own client at Microsoft`,
    ],
    example: '550 5.7.30 Basic authentication is not supported for Client Submission.',
  },
  {
    id: 'smtp-exchange-credentials',
    sources: ['smtp'],
    match: { words: /5\.7\.139\b/ },
    class: 'sign in again',
    who: 'you',
    sentence: 'Exchange does not accept these credentials: another user signed in, or the access was withdrawn',
    fix: [REFRESH, SIGN_IN, 'cms account show {address}   # smtp_user must be a mailbox that the login can use'],
    example: '535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.',
  },
  {
    id: 'smtp-exchange-refused',
    sources: ['smtp'],
    match: { words: /\b535 5\.7\.3\b/ },
    class: 'sign in again',
    who: 'you',
    sentence:
      'Exchange does not accept the token for this mailbox: it is for another resource or user, or SMTP is disabled',
    fix: [
      'cms account show {address}   # scope begins with https://outlook.office.com/, smtp_user is the mailbox',
      REFRESH,
      SIGN_IN,
      `${MAILBOX_SWITCH}   # by the administrator`,
    ],
    admin: {
      subject: 'Is authenticated SMTP on for {user}?',
      request: [
        '{host} refuses the login of my mail program for {user} with 535 5.7.3. One reason would be that authenticated SMTP',
        'is off. In Exchange Online PowerShell, the first two lines show it, and the third switches it on:',
        '  Connect-ExchangeOnline',
        '  Get-CASMailbox -Identity {user} | Format-List SmtpClientAuthenticationDisabled',
        `  ${MAILBOX_SWITCH}`,
      ],
    },
    example: '535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.eurprd01.prod.exchangelabs.com]',
  },
  {
    id: 'smtp-token-expires-soon',
    sources: ['smtp'],
    match: { words: /5\.5\.127\b|Token will expire soon/i },
    class: 'client configuration',
    who: 'you',
    sentence: 'Microsoft HVE accepts only tokens that are valid for about 10 more minutes',
    fix: ['cms token {address} --min-validity 900   # what the mail program should ask for', REFRESH],
    example: '501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon',
  },
  {
    id: 'smtp-not-authenticated',
    sources: ['smtp'],
    match: { words: /5\.7\.57\b|^530\b(?!.*STARTTLS)/ },
    class: 'client configuration',
    who: 'you',
    sentence: 'the server requires a login before it accepts mail, and there was none',
    fix: ['cms account show {address}   # the SMTP server must be the one for submission, port 587 or 465'],
    example: '530 5.7.57 Client not authenticated to send mail.',
  },
  {
    id: 'smtp-send-as-denied',
    sources: ['smtp'],
    match: { words: /SendAsDenied|5\.2\.252\b|5\.7\.60\b|permissions? to send as this sender/i },
    class: 'administrator',
    who: 'administrator',
    sentence: 'the login worked, but the mailbox that logged in may not send as the address in From',
    fix: [
      'send with the address of the mailbox itself, {user}',
      'Add-RecipientPermission -Identity {address} -Trustee {login} -AccessRights SendAs',
    ],
    admin: {
      subject: 'Please allow {login} to send as {address}',
      request: [
        '{host} refuses mail of {address} that {login} sends (SendAsDenied). In Exchange Online PowerShell, this allows it:',
        '  Connect-ExchangeOnline',
        '  Add-RecipientPermission -Identity {address} -Trustee {login} -AccessRights SendAs',
        'It may take an hour.',
      ],
    },
    example:
      '554 5.2.252 SendAsDenied; jane@example.org not allowed to send as office@example.org; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied',
  },
  {
    id: 'smtp-exchange-concurrent',
    sources: ['smtp'],
    match: { words: /concurrent connections limit|sender thread limit|4\.3\.2\b/i },
    class: 'back off',
    who: 'nobody: wait',
    sentence: 'too many connections at the same time; Exchange allows three for each mailbox',
    fix: ['wait, and send over fewer connections at a time'],
    example:
      '432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.',
  },
];

const GMAIL: readonly Entry[] = [
  {
    id: 'app-password-needed',
    sources: ['smtp', 'imap', 'pop'],
    match: { words: /5\.7\.9\b.*application-specific|application-specific password required/i },
    class: 'client configuration',
    who: 'you',
    sentence: 'Google does not accept the account password here, only an app password or OAuth',
    fix: [APP_PASSWORD, `${SIGN_IN} --client-file FILE   # or OAuth`],
    link: 'https://support.google.com/accounts/answer/185833',
    example:
      '534 5.7.9 Application-specific password required. For more information, go to https://support.google.com/mail/?p=InvalidSecondFactor',
  },
  {
    id: 'google-web-login',
    sources: ['smtp', 'imap', 'pop'],
    match: { words: /5\.7\.14\b|log in (?:via|with) your web browser|WEBALERT/i },
    class: 'extra check',
    who: 'you',
    sentence: 'Google requires you to sign in with a browser once, because this login looks unusual',
    fix: [
      'sign in at https://mail.google.com/ with a browser, from this network if you can',
      'cms account test {address}',
    ],
    link: 'https://support.google.com/mail/answer/78754',
    example:
      '534 5.7.14 <https://accounts.google.com/signin/continue> Please log in via your web browser and then try again.',
  },
  {
    id: 'password-refused',
    sources: ['smtp'],
    match: { words: /^535\b/, credential: 'password' },
    class: 'sign in again',
    who: 'you',
    sentence:
      'the server does not accept this user name and password; a change of the account password ends app passwords',
    fix: [APP_PASSWORD, 'cms account show {address}   # smtp_user must be the name that the server knows'],
    example:
      '535 5.7.8 Username and Password not accepted. For more information, go to https://support.google.com/mail/?p=BadCredentials',
  },
  {
    id: 'token-refused',
    sources: ['smtp'],
    match: { words: /^535\b/ },
    class: 'sign in again',
    who: 'you',
    sentence: 'the server does not accept the token for this user: another user signed in, or the access was withdrawn',
    fix: [REFRESH, SIGN_IN, 'cms account show {address}   # login and smtp_user must match'],
    example:
      '535 5.7.8 Username and Password not accepted. For more information, go to https://support.google.com/mail/?p=BadCredentials',
  },
];

const GENERAL: readonly Entry[] = [
  {
    id: 'smtp-line-too-long',
    sources: ['smtp'],
    match: { words: /line too long/i },
    class: 'client configuration',
    who: 'you',
    sentence: 'the token is too long for the AUTH line of this server; it must be sent on a line of its own',
    fix: [
      'cms exim-config --install   # exim then logs in in two steps',
      'in other programs: no initial response (RFC 4954)',
    ],
    example:
      '555 5.5.2 Syntax error, command line too long. For more information, go to https://support.google.com/a/answer/3221692',
  },
  {
    id: 'smtp-quota',
    sources: ['smtp'],
    match: { words: /5\.4\.5\b|sending limit exceeded/i },
    class: 'back off',
    who: 'nobody: wait',
    sentence: 'the account has sent as much as the provider allows for a day',
    fix: ['wait until tomorrow'],
    example: '550 5.4.5 Daily user sending limit exceeded.',
  },
  {
    id: 'smtp-throttled',
    sources: ['smtp'],
    match: {
      words: /too many (?:login|authentication|concurrent)|\b42[01] 4\.7\.\d+|rate limit|try again later, closing/i,
    },
    class: 'back off',
    who: 'nobody: wait',
    sentence: 'too many logins in a short time; the server blocks this account or address for a while',
    fix: ['wait a quarter of an hour or more, and look for another program that logs in all the time'],
    example: '454 4.7.0 Too many login attempts, please try again later.',
  },
  {
    id: 'smtp-temporary',
    sources: ['smtp'],
    match: { words: /^4\d\d\b/ },
    class: 'transient',
    who: 'nobody: wait',
    sentence: 'the server cannot check the login at the moment; nothing is wrong with the sign-in',
    fix: ['cms account test {address}   # try again later'],
    example: '454 4.7.0 Temporary authentication failure',
  },
  {
    id: 'smtp-mechanism',
    sources: ['smtp'],
    match: { words: /^(?:50[0-4]|534)\b/ },
    class: 'client configuration',
    who: 'you',
    sentence: 'the server does not support this login mechanism; it may not be the server for submission',
    fix: ['cms account show {address}   # the SMTP server must be the one for submission, port 587 or 465', SIGN_IN],
    example: '504 5.7.4 Unrecognized authentication type',
  },
];

/** Whatever else is said. @see RFC 7628 section 3.2.2 */
const CHALLENGES: readonly Entry[] = [
  {
    id: 'scope-missing',
    sources: ['smtp', 'imap', 'pop'],
    match: { missingScope: true },
    class: 'consent',
    who: 'you',
    sentence: 'the token lacks the scope that the server requires ({missing_scope})',
    fix: [
      `${SIGN_IN} --scope "{whole_scope}"   # and allow all of it`,
      'if the provider does not grant it, ask its administrator to allow it for the client {client_id}',
    ],
    example: '535 5.7.8 Authentication failed {"status":"401","schemes":"bearer","scope":"mail.smtp"}',
  },
];

export const SMTP: readonly Entry[] = [...OTHER_USER, ...CHALLENGES, ...EXCHANGE, ...GMAIL, ...GENERAL];
