/** Providers whose mail servers take no tokens. They are listed so that cms can say so, and say what works instead. */
import type { PasswordProvider } from '../provider.ts';
import { domainList, implicitTls, startTls } from './parts.ts';

export const zoho: PasswordProvider = {
  id: 'zoho',
  name: 'Zoho Mail',
  oauth: 'none',
  reason: "Zoho's OAuth is for its REST interface; its mail servers are not known to take tokens",
  app_password: {
    url: 'https://accounts.zoho.com/home#security/app_password', // unverified
    how: 'create an application-specific password',
  },
  servers: {
    smtp: [
      implicitTls('smtp.zoho.com', 465),
      startTls('smtp.zoho.com', 587),
      implicitTls('smtppro.zoho.com', 465), // own domains
    ],
    imap: [implicitTls('imap.zoho.com', 993), implicitTls('imappro.zoho.com', 993)],
    pop: [implicitTls('pop.zoho.com', 995)],
  },
  detect: { domains: ['zoho.com', 'zohomail.com'], mx_suffixes: ['zoho.com'] },
};

const GMX_REASON = 'offers no OAuth to mail programs';
const GMX_HOW =
  'turn on POP3 and IMAP in the settings; with two-factor sign-in create an application-specific password';

export const gmx: PasswordProvider = {
  id: 'gmx',
  name: 'GMX',
  oauth: 'none',
  reason: `GMX ${GMX_REASON}`,
  app_password: { url: 'https://www.gmx.net', how: GMX_HOW },
  servers: {
    smtp: [startTls('mail.gmx.net', 587)],
    imap: [implicitTls('imap.gmx.net', 993)],
    pop: [implicitTls('pop.gmx.net', 995)],
  },
  detect: {
    domains: domainList(
      'gmx.net gmx.de gmx.at gmx.ch gmx.eu gmx.biz gmx.org gmx.info mein.gmx mail.gmx email.gmx gmx.li',
    ),
    mx_suffixes: [],
  },
};

export const gmxCom: PasswordProvider = {
  id: 'gmx-com',
  name: 'GMX international',
  oauth: 'none',
  reason: `GMX ${GMX_REASON}`,
  app_password: { url: 'https://www.gmx.com', how: GMX_HOW },
  servers: {
    smtp: [startTls('mail.gmx.com', 587)],
    imap: [implicitTls('imap.gmx.com', 993)],
    pop: [implicitTls('pop.gmx.com', 995)], // unverified
  },
  detect: {
    domains: domainList(`
      gmx.com gmx.tm gmx.us gmx.co.uk gmx.es gmx.fr gmx.ca gmx.cn gmx.co.in gmx.com.br gmx.com.my gmx.hk gmx.ie gmx.ph
      gmx.pt gmx.ru gmx.se gmx.sg gmx.tw gmx.com.tr gmx.it
    `),
    mx_suffixes: [],
  },
};

export const webDe: PasswordProvider = {
  id: 'webde',
  name: 'WEB.DE',
  oauth: 'none',
  reason: `WEB.DE ${GMX_REASON}`,
  app_password: { url: 'https://web.de', how: GMX_HOW },
  servers: {
    smtp: [startTls('smtp.web.de', 587)],
    imap: [implicitTls('imap.web.de', 993)],
    pop: [implicitTls('pop3.web.de', 995)], // unverified
  },
  detect: { domains: ['web.de'], mx_suffixes: [] },
};

export const proton: PasswordProvider = {
  id: 'proton',
  name: 'Proton Mail',
  oauth: 'none',
  reason: 'Proton Mail is reached by mail programs only through Proton Mail Bridge, which has a password of its own',
  app_password: {
    url: 'https://proton.me/mail/bridge', // unverified
    how: 'install Proton Mail Bridge and take the password that it shows',
  },
  servers: {
    smtp: [startTls('127.0.0.1', 1025)], // ports unverified
    imap: [startTls('127.0.0.1', 1143)],
  },
  detect: { domains: ['proton.me', 'protonmail.com', 'pm.me'], mx_suffixes: [] },
  notes: ['Bridge signs its own certificate, which has to be trusted on this machine'],
};

export const icloud: PasswordProvider = {
  id: 'icloud',
  name: 'Apple iCloud Mail',
  oauth: 'none',
  reason: 'Apple offers no OAuth to mail programs',
  app_password: {
    url: 'https://account.apple.com', // unverified
    how: 'create an app-specific password under "Sign-In and Security"',
  },
  servers: {
    smtp: [startTls('smtp.mail.me.com', 587)], // unverified
    imap: [implicitTls('imap.mail.me.com', 993)], // unverified
  },
  detect: { domains: ['icloud.com', 'me.com', 'mac.com'], mx_suffixes: [] },
};
