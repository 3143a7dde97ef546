/** Yahoo runs its own mail, AOL's and AT&T's, and gives mail clients to partners only. */
import type { DetectionRules, ProviderServers, RestrictedProvider } from '../provider.ts';
import { domainList, implicitTls, startTls } from './parts.ts';

interface YahooBrand {
  id: string;
  name: string;
  login: string;
  appPassword: { url: string; how: string };
  servers: ProviderServers;
  detect: DetectionRules;
}

const MAIL = ['mail-w'];

function yahooBrand(brand: YahooBrand): RestrictedProvider {
  return {
    id: brand.id,
    name: brand.name,
    oauth: 'restricted',
    reason: 'Yahoo gives the mail scope only to clients that it has approved; you cannot register one yourself',
    app_password: brand.appPassword,
    endpoints: {
      issuer: brand.login,
      authorization_endpoint: `${brand.login}/oauth2/request_auth`,
      token_endpoint: `${brand.login}/oauth2/get_token`,
      revocation_endpoint: `${brand.login}/oauth2/revoke`, // on AOL's host unverified
    },
    scopes: { smtp: MAIL, imap: MAIL, pop: MAIL },
    // A client is approved for certain scopes; whether openid is among them is not known.
    identity_scopes: [],
    authorization_params: { login_hint: '{login}' },
    client: {
      secret: 'optional',
      type: 'as approved by Yahoo',
      redirect_to_register: 'https://127.0.0.1/',
      note: 'Yahoo takes https redirect URIs only, so the address of the last page has to be pasted (--flow manual)',
    },
    redirect: { scheme: 'https', host: '127.0.0.1', path: '/' },
    // Nothing can answer on https://127.0.0.1 with a certificate that a browser trusts.
    flows: { browser: false, device: false, manual: true, device_note: 'Yahoo has no device flow' },
    servers: brand.servers,
    detect: brand.detect,
    expiry_note: 'a change of the password ends the sign-in', // third-party report
    notes: ['HTTP 999 or "Request denied" means that Yahoo limits the rate: wait'], // third-party report
  };
}

const YAHOO_LOGIN = 'https://api.login.yahoo.com';

export const yahoo = yahooBrand({
  id: 'yahoo',
  name: 'Yahoo Mail',
  login: YAHOO_LOGIN,
  appPassword: {
    url: 'https://login.yahoo.com/account/security', // unverified
    how: 'create an app password under "Account security"',
  },
  servers: {
    smtp: [implicitTls('smtp.mail.yahoo.com', 465), startTls('smtp.mail.yahoo.com', 587)],
    imap: [implicitTls('imap.mail.yahoo.com', 993)],
    pop: [implicitTls('pop.mail.yahoo.com', 995)],
  },
  detect: {
    // Not yahoo.co.jp, which is another company.
    domains: domainList(`
      yahoo.com yahoo.ca yahoo.de yahoo.it yahoo.fr yahoo.es yahoo.se yahoo.co.in yahoo.co.uk yahoo.co.nz
      yahoo.com.au yahoo.com.ar yahoo.com.br yahoo.com.mx ymail.com myyahoo.com rocketmail.com cox.net
    `),
    mx_suffixes: ['am0.yahoodns.net', 'yahoodns.net'],
  },
});

export const aol = yahooBrand({
  id: 'aol',
  name: 'AOL and Verizon.net',
  login: 'https://api.login.aol.com',
  appPassword: {
    url: 'https://login.aol.com/account/security', // unverified
    how: 'create an app password under "Account security"',
  },
  servers: {
    smtp: [implicitTls('smtp.aol.com', 465)],
    imap: [implicitTls('imap.aol.com', 993)],
    pop: [implicitTls('pop.aol.com', 995)],
  },
  detect: {
    domains: domainList(`
      aol.com aim.com netscape.net netscape.com compuserve.com cs.com wmconnect.com aol.de aol.it aol.fr
      aol.es aol.se aol.co.uk aol.co.nz aol.com.au aol.com.ar aol.com.br aol.com.mx verizon.net
    `),
    mx_suffixes: ['mail.gm0.yahoodns.net'],
  },
});

export const att = yahooBrand({
  id: 'att',
  name: 'AT&T Mail (hosted by Yahoo)',
  login: YAHOO_LOGIN,
  appPassword: {
    url: 'https://www.att.com',
    how: 'create a secure mail key in the profile of the AT&T account', // unverified
  },
  servers: {
    smtp: [implicitTls('smtp.mail.att.net', 465), implicitTls('outbound.att.net', 465)],
    imap: [implicitTls('imap.mail.att.net', 993)],
    pop: [implicitTls('inbound.att.net', 995)],
  },
  detect: {
    domains: domainList(`
      ameritech.net att.net bellsouth.net currently.com flash.net nvbell.net pacbell.net prodigy.net
      sbcglobal.net snet.net swbell.net wans.net
    `),
    mx_suffixes: [],
  },
});
