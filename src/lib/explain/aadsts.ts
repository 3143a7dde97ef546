/**
 * Microsoft's AADSTS codes, which are at the beginning of `error_description`. They explain. Microsoft may change them,
 * so the state of a grant follows from `error`; only that something passes by itself follows from them as well.
 * @see https://learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
import type { Entry } from './entry.ts';

const SIGN_IN = 'cms account add {address}';
const CONSENT = '{login_base}/{tenant}/adminconsent?client_id={client_id}';
const APPS = 'https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade';

type Draft = Omit<Entry, 'sources' | 'match' | 'id'> & { codes: readonly [number, ...number[]] };

const DRAFTS: readonly Draft[] = [
  {
    codes: [50173, 50132, 50133],
    class: 'sign in again',
    who: 'you',
    sentence: 'the password was changed, or an administrator ended all sessions',
    fix: [SIGN_IN],
    example: 'invalid_grant (AADSTS50173: The provided grant has expired due to it being revoked.)',
  },
  {
    codes: [700082],
    class: 'sign in again',
    who: 'you',
    sentence: 'the sign-in was not used for too long (90 days at Microsoft)',
    fix: [SIGN_IN, 'cms serve   # a running broker keeps it alive'],
    example: 'invalid_grant (AADSTS700082: The refresh token has expired due to inactivity.)',
  },
  {
    codes: [70043],
    class: 'sign in again',
    who: 'you',
    sentence: 'the organisation limits how long a sign-in lasts (sign-in frequency), and this one has ended',
    fix: [SIGN_IN, 'ask the administrator for a longer sign-in frequency for this client'],
    admin: {
      subject: 'Sign-in frequency for mail access of {address}',
      request: [
        'A Conditional Access policy with a sign-in frequency ends the mail access of {address} again and again',
        '(AADSTS70043). In the Entra admin center, under Protection > Conditional Access > Policies, please raise the',
        'sign-in frequency, or leave this client out of the policy:',
        '  {client_id}',
      ],
    },
    example:
      'invalid_grant (AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks.)',
  },
  {
    codes: [700084],
    class: 'sign in again',
    who: 'client owner',
    sentence: 'the redirect URI is registered as "single-page application", whose sign-ins end after 24 hours',
    fix: ['register http://localhost as "Mobile and desktop applications" and remove it from "Single-page"', SIGN_IN],
    link: APPS,
    example: 'invalid_grant (AADSTS700084: The refresh token was issued to a single page app.)',
  },
  {
    codes: [70008, 70000, 50089, 50085, 54005],
    class: 'sign in again',
    who: 'you',
    sentence: 'Microsoft no longer accepts the grant: it has expired, was revoked or was used before',
    fix: [SIGN_IN],
    example: 'invalid_grant (AADSTS70008: The provided authorization code or refresh token has expired.)',
  },
  {
    codes: [70018, 70019],
    class: 'sign in again',
    who: 'you',
    sentence: 'the code was wrong, or expired before it was entered',
    fix: [`${SIGN_IN}   # and enter the new code`],
    example: 'expired_token (AADSTS70019: Verification code expired.)',
  },
  {
    codes: [50076, 50078, 50074, 50158],
    class: 'extra check',
    who: 'you',
    sentence: 'Microsoft requires a second factor now, because of a rule of the organisation or a new location',
    fix: [SIGN_IN],
    example: 'interaction_required (AADSTS50076: you must use multi-factor authentication to access)',
  },
  {
    codes: [50079, 50072],
    class: 'extra check',
    who: 'you',
    sentence: 'the organisation requires a second factor, and you have not set one up yet',
    fix: ['set one up at https://aka.ms/mysecurityinfo', SIGN_IN],
    link: 'https://aka.ms/mysecurityinfo',
    example: 'interaction_required (AADSTS50079: you must enroll in multi-factor authentication to access)',
  },
  {
    codes: [65001],
    class: 'consent',
    who: 'you',
    sentence: 'this client is not allowed to use the mailbox yet, or not with everything that it requests',
    fix: [`${SIGN_IN}   # and allow the access`, `if you cannot allow it, the administrator can: ${CONSENT}`],
    admin: {
      subject: 'Please allow an app to use the mailbox {address}',
      request: [
        'The app with the client id {client_id} has not been allowed to use mailboxes of our organisation. Please look at',
        'what it asks for ({scope}), and allow it here:',
        `  ${CONSENT}`,
      ],
    },
    example: 'invalid_grant (AADSTS65001: The user or administrator has not consented to use the application)',
  },
  {
    codes: [65004],
    class: 'consent',
    who: 'you',
    sentence: 'the access was declined in the browser',
    fix: [`${SIGN_IN}   # and allow the access`],
    example: 'access_denied (AADSTS65004: User declined to consent to access the app.)',
  },
  {
    codes: [90094, 90095],
    class: 'administrator',
    who: 'administrator',
    sentence: 'in this organisation only an administrator may allow a client to use mailboxes',
    fix: [`the administrator allows it here: ${CONSENT}`, `${SIGN_IN}   # afterwards`],
    admin: {
      subject: 'Please allow an app to use the mailbox {address}',
      request: [
        'I would like to read and send the mail of {address} with my mail program. In our organisation an administrator',
        'has to allow that (AADSTS90094). Please look at what the app asks for ({scope}), and allow it here:',
        `  ${CONSENT}`,
        'The client id is {client_id}.',
      ],
    },
    example: 'access_denied (AADSTS90094: The grant requires administrator permission.)',
  },
  {
    codes: [50105],
    class: 'administrator',
    who: 'administrator',
    sentence: 'only assigned users can use this client, and you are not one of them',
    fix: ['ask the administrator to assign you to the enterprise application {client_id}', `${SIGN_IN}   # afterwards`],
    admin: {
      subject: 'Please assign {address} to an app',
      request: [
        'In the Entra admin center, please open Identity > Applications > Enterprise applications, look for the client id',
        '{client_id}, and under Users and groups assign {login} to it (now: AADSTS50105).',
      ],
    },
    example: 'access_denied (AADSTS50105: The signed in user is not assigned to a role for the application.)',
  },
  {
    codes: [53003, 530032, 53002, 530034],
    class: 'administrator',
    who: 'administrator',
    sentence: 'a rule of the organisation (Conditional Access) blocks this sign-in',
    fix: [
      `${SIGN_IN} --flow browser   # many organisations forbid only the device flow`,
      'ask the administrator to allow the client {client_id}',
    ],
    admin: {
      subject: 'Conditional Access blocks the mail access of {address}',
      request: [
        'A Conditional Access policy blocks the sign-in of {login} with the client {client_id} (AADSTS53003). The sign-in',
        'logs of the Entra admin center name the policy. Please let this client through, or tell me which conditions a',
        'sign-in has to meet. If the policy blocks only the device code flow, I can sign in with a browser instead.',
      ],
    },
    example: 'access_denied (AADSTS53003: Access has been blocked by Conditional Access policies.)',
  },
  {
    codes: [53000, 53001],
    class: 'administrator',
    who: 'administrator',
    sentence: 'the organisation admits only computers that it manages, and the browser runs on another one',
    fix: [`${SIGN_IN} --flow manual   # and open the address in a browser on a managed computer`],
    admin: {
      subject: 'Mail access of {address} from a computer that is not managed',
      request: [
        'A Conditional Access policy asks for a managed device (AADSTS53000) when {login} signs in with the client',
        '{client_id}. Please leave this client out of that condition, if the rules of the organisation allow it.',
      ],
    },
    example: 'interaction_required (AADSTS53000: Device is not in required device state: compliant.)',
  },
  {
    codes: [530035],
    class: 'administrator',
    who: 'administrator',
    sentence: 'the security defaults of the organisation block this sign-in',
    fix: ['ask the administrator', SIGN_IN],
    admin: {
      subject: 'Security defaults block the mail access of {address}',
      request: [
        'The security defaults block the sign-in of {login} with the client {client_id} (AADSTS530035). Please see the',
        'sign-in logs of the Entra admin center, and replace the security defaults by Conditional Access policies that let',
        'it through, if the rules of the organisation allow it.',
      ],
    },
    example: 'access_denied (AADSTS530035: Access has been blocked by security defaults.)',
  },
  {
    codes: [50057],
    class: 'account',
    who: 'administrator',
    sentence: 'the account is disabled',
    fix: ['ask the administrator to enable {login}', `${SIGN_IN}   # afterwards`],
    example: 'invalid_grant (AADSTS50057: The user account is disabled.)',
  },
  {
    codes: [50034, 50020, 500208, 500200],
    class: 'account',
    who: 'you',
    sentence: 'the tenant that was asked has no such user: the user is in another tenant, or has a personal account',
    fix: [
      `${SIGN_IN} --tenant DOMAIN_OR_ID   # consumers for outlook.com, hotmail, live`,
      `${SIGN_IN} --login NAME   # if the login is not the mail address`,
    ],
    example: 'invalid_grant (AADSTS50034: The user account does not exist in the directory.)',
  },
  {
    codes: [50053],
    class: 'account',
    who: 'nobody: wait',
    sentence: 'the account is locked for a while, after too many failed logins or from a blocked address',
    fix: ['wait a while, and look for another program that logs in with an old password', SIGN_IN],
    example: 'invalid_grant (AADSTS50053: The account is locked because of too many sign-in attempts.)',
  },
  {
    codes: [50055, 50144],
    class: 'account',
    who: 'you',
    sentence: 'the password of the account has expired',
    fix: ['change the password in the browser', SIGN_IN],
    example: 'invalid_grant (AADSTS50055: The password is expired.)',
  },
  {
    codes: [50126],
    class: 'account',
    who: 'you',
    sentence: 'the user name or the password was wrong',
    fix: [SIGN_IN],
    example: 'invalid_grant (AADSTS50126: Error validating credentials due to invalid username or password.)',
  },
  {
    codes: [7000222],
    class: 'client configuration',
    who: 'client owner',
    sentence: 'the secret of the client has expired',
    fix: [
      'create a new secret under "Certificates & secrets" of the app registration',
      `${SIGN_IN} --client-secret-file FILE`,
    ],
    link: APPS,
    example: 'invalid_client (AADSTS7000222: The provided client secret keys are expired.)',
  },
  {
    codes: [7000215, 70002],
    class: 'client configuration',
    who: 'client owner',
    sentence: 'the secret of the client is wrong; the secret is its "Value", not its "Secret ID"',
    fix: [`${SIGN_IN} --client-secret-file FILE`],
    link: APPS,
    example: 'invalid_client (AADSTS7000215: Invalid client secret provided.)',
  },
  {
    codes: [7000218],
    class: 'client configuration',
    who: 'client owner',
    sentence: 'Microsoft treats the client as a web application and requires a secret',
    fix: [
      'under "Authentication" of the app registration: add the platform "Mobile and desktop applications" with http://localhost, and set "Allow public client flows" to yes',
      SIGN_IN,
    ],
    link: APPS,
    example: "invalid_client (AADSTS7000218: The request body must contain: 'client_assertion' or 'client_secret'.)",
  },
  {
    codes: [700025],
    class: 'client configuration',
    who: 'client owner',
    sentence: 'the client is public, but a secret was sent for it',
    fix: [`cms account remove {address} --keep-grant`, `${SIGN_IN} --client-id {client_id}   # without a secret`],
    example:
      'invalid_client (AADSTS700025: Client is public so neither client_assertion nor client_secret should be presented.)',
  },
  {
    codes: [700016, 70001],
    class: 'client configuration',
    who: 'client owner',
    sentence: 'there is no client with this id in this tenant',
    fix: [
      `${SIGN_IN} --client-id ID --tenant DOMAIN_OR_ID   # those of the app registration`,
      'or make the app registration multitenant ("Supported account types")',
    ],
    link: APPS,
    example: 'unauthorized_client (AADSTS700016: Application with identifier was not found in the directory.)',
  },
  {
    codes: [7000112],
    class: 'client configuration',
    who: 'administrator',
    sentence: 'the client has been disabled, by Microsoft or by the organisation',
    fix: [
      'ask the administrator to enable the enterprise application {client_id}',
      `${SIGN_IN} --client-id ID   # another one`,
    ],
    admin: {
      subject: 'An app for mail access is disabled',
      request: [
        'In the Entra admin center, please open Identity > Applications > Enterprise applications, look for the client id',
        '{client_id}, and under Properties set "Enabled for users to sign-in" to yes (now: AADSTS7000112).',
      ],
    },
    example: 'unauthorized_client (AADSTS7000112: Application is disabled.)',
  },
  {
    codes: [50011],
    class: 'client configuration',
    who: 'client owner',
    sentence: 'the redirect URI is not registered for this client',
    fix: [
      'register http://localhost as "Mobile and desktop applications"; Microsoft does not compare the port',
      SIGN_IN,
    ],
    link: APPS,
    example: 'invalid_request (AADSTS50011: The redirect URI specified in the request does not match.)',
  },
  {
    codes: [50194, 9001023, 9002332, 9002346],
    class: 'client configuration',
    who: 'client owner',
    sentence: 'the client is not registered for the kind of account in the tenant that was asked',
    fix: [
      `${SIGN_IN} --tenant DOMAIN_OR_ID   # the tenant of the app registration; consumers for personal accounts`,
      'or change "Supported account types" of the app registration',
    ],
    link: APPS,
    example: 'invalid_request (AADSTS50194: Application is not configured as a multi-tenant application.)',
  },
  {
    codes: [90002, 90038],
    class: 'client configuration',
    who: 'you',
    sentence: 'there is no such tenant in this cloud of Microsoft',
    fix: [
      `${SIGN_IN} --tenant DOMAIN_OR_ID`,
      `${SIGN_IN} --provider microsoft-gcc-high   # or microsoft-21vianet, for the clouds of the US government and of China`,
    ],
    example: "invalid_request (AADSTS90002: Tenant 'example.org' not found.)",
  },
  {
    codes: [28000, 28002, 28003, 70011, 700022, 650057, 650053],
    class: 'client configuration',
    who: 'client owner',
    sentence:
      'a token is for one resource only, but the scopes name several, or one that the client is not allowed to request',
    fix: [
      'under "API permissions" of the app registration add SMTP.Send and IMAP.AccessAsUser.All (delegated)',
      `${SIGN_IN} --scope "https://outlook.office.com/SMTP.Send https://outlook.office.com/IMAP.AccessAsUser.All offline_access"`,
    ],
    link: APPS,
    example: "invalid_scope (AADSTS70011: The provided value for the input parameter 'scope' is not valid.)",
  },
  {
    codes: [65002],
    class: 'client configuration',
    who: 'client owner',
    sentence: "the client id is one of Microsoft's own programs, which no other program may use",
    fix: ['register a client of your own', `${SIGN_IN} --client-id ID`],
    link: APPS,
    example: 'invalid_request (AADSTS65002: Consent between first party application and first party resource.)',
  },
  {
    codes: [50033, 50087, 70012, 90006, 90012, 90024, 90033, 90055, 90090, 80002, 80005, 50097],
    class: 'transient',
    who: 'nobody: wait',
    sentence: 'Microsoft has a temporary problem',
    fix: ['wait; cms tries again on its own'],
    example: 'temporarily_unavailable (AADSTS90033: A transient error has occurred. Please try again.)',
  },
  {
    codes: [50196],
    class: 'back off',
    who: 'nobody: wait',
    sentence: 'Microsoft was asked for tokens far too often and pauses this client',
    fix: ['wait a few minutes', 'cms serve   # one broker for all programs, so that each token is fetched once'],
    example:
      'invalid_grant (AADSTS50196: The server terminated an operation because it encountered a client request loop.)',
  },
  {
    codes: [70016],
    class: 'transient',
    who: 'you',
    sentence: 'the code has not been entered yet',
    fix: ['enter the code on any device'],
    example: 'authorization_pending (AADSTS70016: OAuth 2.0 device flow error. Authorization is pending.)',
  },
];

export const AADSTS: readonly Entry[] = DRAFTS.map(({ codes, ...rest }) => ({
  id: `aadsts-${codes[0]}`,
  sources: ['oauth'],
  match: { aadsts: codes },
  ...rest,
}));
