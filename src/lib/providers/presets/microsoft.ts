/** Microsoft's clouds differ in host names and in where a client is registered; the rest is one and the same. */
import type { MailServer } from '../../accounts/account.ts';
import type { DetectionRules, SupportedProvider } from '../provider.ts';
import { OUTLOOK_COM_DOMAINS } from './outlook-com-domains.ts';
import { implicitTls, startTls } from './parts.ts';

interface Cloud {
  id: string;
  name: string;
  /** Where people sign in. */
  login: string;
  /** The resource that tokens are made for: the front part of each mail scope. */
  resource: string;
  tenant: { default?: string };
  portal: string;
  smtp: MailServer[];
  /** IMAP and POP answer under one name. */
  mailbox: string;
  detect: DetectionRules;
  unavailable: string;
  notes?: string[];
}

const SMTP_AUTH_NOTE =
  'SMTP AUTH must be on for the mailbox, with OAuth too; 535 5.7.139 says that it is off: an administrator runs ' +
  'Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false';
const SHARED_MAILBOX_NOTE =
  'for a shared mailbox sign in as the delegate (--login) and keep the address of the mailbox as ADDRESS';
const BASIC_AUTH_OFF =
  'Exchange Online turns password logins for SMTP off by default at the end of December 2026, IMAP and POP have ' +
  'none: sign in with OAuth';

function microsoftCloud(cloud: Cloud): SupportedProvider {
  const authority = `${cloud.login}/{tenant}/oauth2/v2.0`;
  return {
    id: cloud.id,
    name: cloud.name,
    oauth: 'supported',
    app_password: { unavailable: cloud.unavailable },
    endpoints: {
      issuer: `${cloud.login}/{tenantid}/v2.0`,
      authorization_endpoint: `${authority}/authorize`,
      token_endpoint: `${authority}/token`,
      device_authorization_endpoint: `${authority}/devicecode`,
      // No revocation endpoint, and no userinfo: Microsoft's belongs to Graph, which takes no mail token.
    },
    tenant: cloud.tenant,
    scopes: {
      smtp: [`${cloud.resource}/SMTP.Send`],
      imap: [`${cloud.resource}/IMAP.AccessAsUser.All`],
      pop: [`${cloud.resource}/POP.AccessAsUser.All`],
    },
    identity_scopes: ['openid', 'profile', 'email'],
    offline_scope: 'offline_access',
    authorization_params: { prompt: 'select_account', login_hint: '{login}' },
    refresh_scope: 'mail',
    client: {
      secret: 'none',
      type: 'Mobile and desktop applications (public client)',
      register_url: cloud.portal,
      redirect_to_register: 'http://localhost',
      note:
        'no secret: one that is sent for a public client is refused (AADSTS700025), and a redirect URI entered under ' +
        '"Web" demands one (AADSTS7000218); "Allow public client flows" must be on for the device flow',
    },
    redirect: { host: 'localhost', path: '/' },
    flows: {
      browser: true,
      device: true,
      manual: true,
      device_note:
        'needs "Allow public client flows"; an organisation may block device codes (AADSTS53003), then use the browser',
    },
    servers: {
      smtp: cloud.smtp,
      imap: [implicitTls(cloud.mailbox, 993)],
      pop: [implicitTls(cloud.mailbox, 995)],
    },
    detect: cloud.detect,
    expiry_note:
      'Microsoft ends a sign-in after 90 days without use, on a password change, and when an administrator revokes it; ' +
      'after 24 hours when the redirect URI is registered as "Single-page application"',
    notes: [SMTP_AUTH_NOTE, SHARED_MAILBOX_NOTE, ...(cloud.notes ?? [])],
  };
}

export const microsoft = microsoftCloud({
  id: 'microsoft',
  name: 'Microsoft 365 (work or school)',
  login: 'https://login.microsoftonline.com',
  resource: 'https://outlook.office.com',
  tenant: { default: 'organizations' },
  portal: 'https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/CreateApplicationBlade', // unverified
  smtp: [startTls('smtp.office365.com', 587)],
  mailbox: 'outlook.office365.com',
  detect: {
    domains: ['office365.com'],
    domain_suffixes: ['onmicrosoft.com'],
    mx_suffixes: ['mail.protection.outlook.com', 'mx.microsoft'], // mx.microsoft unverified
  },
  unavailable: BASIC_AUTH_OFF,
  notes: ['a client registered for one organisation needs --tenant with its id or domain (AADSTS50194)'],
});

export const microsoftPersonal = microsoftCloud({
  id: 'microsoft-personal',
  name: 'Outlook.com, Hotmail, Live and MSN (personal)',
  login: 'https://login.microsoftonline.com',
  resource: 'https://outlook.office.com',
  tenant: { default: 'consumers' },
  portal: 'https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/CreateApplicationBlade', // unverified
  smtp: [startTls('smtp-mail.outlook.com', 587)],
  mailbox: 'outlook.office365.com',
  detect: { domains: OUTLOOK_COM_DOMAINS, mx_suffixes: ['olc.protection.outlook.com'] },
  unavailable: 'Outlook.com has taken no passwords from mail programs since 16 September 2024: sign in with OAuth',
  notes: [
    'the client must be registered for personal Microsoft accounts too (AADSTS9002332)',
    'POP and IMAP may have to be turned on in the settings of Outlook.com', // unverified
  ],
});

export const microsoftGccHigh = microsoftCloud({
  id: 'microsoft-gcc-high',
  name: 'Microsoft 365 GCC High (US Government)',
  login: 'https://login.microsoftonline.us',
  resource: 'https://outlook.office365.us',
  tenant: {},
  portal: 'https://portal.azure.us',
  smtp: [startTls('smtp.office365.us', 587)],
  mailbox: 'outlook.office365.us', // for POP unverified
  detect: {
    domains: [],
    domain_suffixes: ['onmicrosoft.us'], // unverified
    mx_suffixes: ['mail.protection.office365.us'], // unverified
  },
  unavailable: BASIC_AUTH_OFF,
  notes: ['GCC without "High" lives in the global cloud: use the preset microsoft'],
});

export const microsoftDod = microsoftCloud({
  id: 'microsoft-dod',
  name: 'Microsoft 365 DoD (US Government)',
  login: 'https://login.microsoftonline.us',
  resource: 'https://outlook-dod.office365.us', // unverified: sources disagree, outlook.office365.us is the other
  tenant: {},
  portal: 'https://portal.azure.us',
  smtp: [startTls('outlook-dod.office365.us', 587)], // unverified
  mailbox: 'outlook-dod.office365.us', // unverified
  detect: { domains: [], mx_suffixes: [] },
  unavailable: BASIC_AUTH_OFF,
  notes: ['if the scope is refused, try --scope with https://outlook.office365.us in place of outlook-dod'],
});

export const microsoft21Vianet = microsoftCloud({
  id: 'microsoft-21vianet',
  name: 'Microsoft 365 operated by 21Vianet (China)',
  login: 'https://login.partner.microsoftonline.cn',
  resource: 'https://partner.outlook.cn',
  tenant: {},
  portal: 'https://portal.azure.cn',
  smtp: [startTls('partner.outlook.cn', 587), startTls('smtp.partner.outlook.cn', 587)], // the second unverified
  mailbox: 'partner.outlook.cn',
  detect: {
    domains: [],
    domain_suffixes: ['partner.onmschina.cn'], // unverified
    mx_suffixes: ['mail.protection.partner.outlook.cn'], // unverified
  },
  unavailable: BASIC_AUTH_OFF,
  notes: ['some tenants want --scope "https://partner.outlook.cn/.default offline_access"'],
});
