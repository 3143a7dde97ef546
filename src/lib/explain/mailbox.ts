/** What IMAP and POP servers say at the login. @see RFC 5530, RFC 2449, RFC 3206 */
import type { Entry } from './entry.ts';

const SIGN_IN = 'cms account add {address}';
const REFRESH = 'cms token {address} --force-refresh';

export const MAILBOX: readonly Entry[] = [
  {
    id: 'exchange-not-connected',
    sources: ['imap', 'pop'],
    match: { words: /authenticated but not connected/i },
    class: 'account',
    who: 'you',
    sentence:
      'the token is valid, but not for this mailbox: the user name is wrong, or the login has no access to the mailbox',
    fix: [
      `${SIGN_IN} --imap-user NAME   # the mailbox that {login} can use`,
      'Set-CASMailbox -Identity {user} -ImapEnabled $true -PopEnabled $true   # by the administrator',
      'Add-MailboxPermission -Identity {user} -User {login} -AccessRights FullAccess   # the same, for a shared mailbox',
    ],
    admin: {
      subject: 'Please check the access of {login} to the mailbox {user}',
      request: [
        'My mail program logs in as {login}, but Exchange does not connect it to the mailbox {user} ("User is',
        'authenticated but not connected"). In Exchange Online PowerShell, please see whether the mailbox is licensed and',
        'open to IMAP and POP, and whether {login} may use it:',
        '  Connect-ExchangeOnline',
        '  Get-CASMailbox -Identity {user} | Format-List ImapEnabled,PopEnabled',
        '  Set-CASMailbox -Identity {user} -ImapEnabled $true -PopEnabled $true',
        '  Add-MailboxPermission -Identity {user} -User {login} -AccessRights FullAccess   # for a shared mailbox',
      ],
    },
    example: 'User is authenticated but not connected.',
  },
  {
    id: 'gmail-imap-off',
    sources: ['imap'],
    match: { words: /not enabled for IMAP/i },
    class: 'account',
    who: 'you',
    sentence: 'IMAP is disabled for this account',
    fix: [
      'enable it in the settings of Gmail, or ask the Workspace administrator to enable it (Apps > Gmail > End User Access)',
    ],
    link: 'https://mail.google.com/mail/#settings/fwdandpop',
    admin: {
      subject: 'Please allow IMAP for {user}',
      request: [
        'IMAP is switched off for {user}. In the Google Admin console, please open Apps > Google Workspace > Gmail > End User',
        'Access > POP and IMAP access, and enable IMAP.',
      ],
    },
    example:
      '[ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your account for IMAP access.',
  },
  {
    id: 'gmail-pop-off',
    sources: ['pop'],
    match: { words: /not enabled for POP/i },
    class: 'account',
    who: 'you',
    sentence: 'POP is disabled for this account',
    fix: [
      'enable it in the settings of Gmail, or ask the Workspace administrator to enable it (Apps > Gmail > End User Access)',
    ],
    link: 'https://mail.google.com/mail/#settings/fwdandpop',
    admin: {
      subject: 'Please allow POP for {user}',
      request: [
        'POP is switched off for {user}. In the Google Admin console, please open Apps > Google Workspace > Gmail > End User',
        'Access > POP and IMAP access, and enable POP.',
      ],
    },
    example:
      'SYS/PERM Your account is not enabled for POP access. Please visit your Gmail settings page and enable your account for POP access.',
  },
  {
    id: 'mailbox-too-often',
    sources: ['imap', 'pop'],
    match: {
      words: /too many (?:simultaneous|concurrent|login)|OVERQUOTA|command or bandwidth limits|LOGIN-DELAY|\bLIMIT\b/i,
    },
    class: 'back off',
    who: 'nobody: wait',
    sentence: 'too many connections or logins for this mailbox; the server blocks it for a while',
    fix: ['close other mail programs, or wait', 'cms account test {address}   # try again later'],
    example: '[ALERT] Too many simultaneous connections. (Failure)',
  },
  {
    id: 'mailbox-in-use',
    sources: ['pop', 'imap'],
    match: { words: /\bIN-?USE\b|mailbox (?:is )?locked/i },
    class: 'transient',
    who: 'nobody: wait',
    sentence: 'another program has the mailbox open',
    fix: ['close the other program, or wait a few minutes'],
    example: 'IN-USE Unable to lock maildrop',
  },
  {
    id: 'mailbox-temporary',
    sources: ['imap', 'pop'],
    match: { words: /UNAVAILABLE|SYS\/TEMP|SERVERBUG|temporar|server (?:is )?(?:busy|unavailable)/i },
    class: 'transient',
    who: 'nobody: wait',
    sentence: 'the server cannot check the login at the moment; nothing is wrong with the sign-in',
    fix: ['cms account test {address}   # try again later'],
    example: 'UNAVAILABLE Temporary authentication failure',
  },
  {
    id: 'mailbox-password-refused',
    sources: ['imap', 'pop'],
    match: { credential: 'password', words: /AUTH|LOGIN|PASS|credentials|invalid|incorrect|denied/i },
    class: 'sign in again',
    who: 'you',
    sentence:
      'the server does not accept this user name and password; a change of the account password ends app passwords',
    fix: [
      `${SIGN_IN} --password-file FILE   # with a new app password`,
      'cms account show {address}   # imap_user must be the name that the server knows',
    ],
    example: 'AUTHENTICATIONFAILED Invalid credentials (Failure)',
  },
  {
    id: 'mailbox-token-refused',
    sources: ['imap', 'pop'],
    match: { words: /AUTH|LOGIN failed|credentials|invalid|incorrect|denied|unknown user|Protocol error/i },
    class: 'sign in again',
    who: 'you',
    sentence: 'the server does not accept the token for this user: another user signed in, or the access was withdrawn',
    fix: [
      REFRESH,
      SIGN_IN,
      'cms account show {address}   # login and imap_user must match',
      'Set-CASMailbox -Identity {user} -ImapEnabled $true -PopEnabled $true   # by the administrator, at Microsoft',
    ],
    example: 'AUTHENTICATIONFAILED Invalid credentials (Failure)',
  },
];
