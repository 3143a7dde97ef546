/** Providers with an authorization server of their own that need no family of presets. */
import type { OAuthProvider } from '../provider.ts';
import { domainList, implicitTls, REGISTERED_PORT, startTls } from './parts.ts';

export const fastmail: OAuthProvider = {
  id: 'fastmail',
  name: 'Fastmail',
  oauth: 'restricted',
  reason: 'Fastmail registers OAuth clients by hand and advises an app password for programs of your own',
  app_password: {
    url: 'https://app.fastmail.com/settings/security', // unverified
    how: 'create an app password under "Settings", "Privacy & Security"', // unverified
  },
  endpoints: {
    issuer: 'https://api.fastmail.com',
    authorization_endpoint: 'https://api.fastmail.com/oauth/authorize',
    token_endpoint: 'https://api.fastmail.com/oauth/refresh', // its name, for codes too
  },
  scopes: {
    smtp: ['https://www.fastmail.com/dev/protocol-smtp'],
    imap: ['https://www.fastmail.com/dev/protocol-imap'],
    pop: ['https://www.fastmail.com/dev/protocol-pop'],
  },
  identity_scopes: [],
  authorization_params: { login_hint: '{login}' },
  client: {
    secret: 'none',
    type: 'public client with PKCE',
    register_url: 'https://www.fastmail.com/developer/oauth/',
    redirect_to_register: `http://127.0.0.1:${REGISTERED_PORT}/`,
    note: 'Fastmail compares the whole redirect URI',
  },
  redirect: { host: '127.0.0.1', path: '/', port: REGISTERED_PORT },
  flows: { browser: true, device: false, manual: true, device_note: 'Fastmail has no device flow' },
  servers: {
    smtp: [implicitTls('smtp.fastmail.com', 465), startTls('smtp.fastmail.com', 587)], // 587 unverified
    imap: [implicitTls('imap.fastmail.com', 993)],
    pop: [implicitTls('pop.fastmail.com', 995)],
  },
  detect: { domains: ['fastmail.com', 'fastmail.fm'], mx_suffixes: ['messagingengine.com'] },
};

export const yandex: OAuthProvider = {
  id: 'yandex',
  name: 'Yandex Mail',
  oauth: 'supported',
  app_password: {
    url: 'https://id.yandex.com/security/app-passwords', // unverified
    how: 'create an app password of the kind "Mail"', // unverified
  },
  endpoints: {
    issuer: 'https://oauth.yandex.com',
    authorization_endpoint: 'https://oauth.yandex.com/authorize',
    token_endpoint: 'https://oauth.yandex.com/token',
    device_authorization_endpoint: 'https://oauth.yandex.com/device/code',
    revocation_endpoint: 'https://oauth.yandex.com/revoke_token', // unverified
  },
  scopes: { smtp: ['mail:smtp'], imap: ['mail:imap_full'] },
  identity_scopes: [], // no OpenID Connect
  authorization_params: { force_confirm: 'true', login_hint: '{login}' },
  client: {
    secret: 'required',
    type: 'web service',
    register_url: 'https://oauth.yandex.com/client/new', // unverified
    redirect_to_register: `http://localhost:${REGISTERED_PORT}/`,
    note: 'grant it mail:smtp and mail:imap_full',
  },
  redirect: { host: 'localhost', path: '/', port: REGISTERED_PORT },
  flows: {
    browser: true,
    device: true, // for mail scopes unverified
    manual: true,
    device_note: 'whether Yandex grants mail scopes in the device flow is not known; if not, use --flow manual',
  },
  servers: {
    smtp: [implicitTls('smtp.yandex.com', 465)],
    imap: [implicitTls('imap.yandex.com', 993)],
    pop: [implicitTls('pop.yandex.com', 995)],
  },
  detect: {
    domains: domainList('yandex.ru yandex.com yandex.net yandex.by yandex.kz yandex.ua ya.ru narod.ru'),
    mx_suffixes: ['mx.yandex.net', 'mx.yandex.ru'], // unverified
  },
  notes: ['mail programs must be allowed in the settings of Yandex Mail'],
};

const MAILRU_SCOPES = ['openid', 'mail.imap'];

export const mailru: OAuthProvider = {
  id: 'mailru',
  name: 'Mail.ru',
  oauth: 'supported',
  app_password: {
    url: 'https://account.mail.ru/user/2-step-auth/passwords', // unverified
    how: 'create a password for external programs',
  },
  endpoints: {
    authorization_endpoint: 'https://oauth.mail.ru/login',
    token_endpoint: 'https://oauth.mail.ru/token',
  },
  scopes: { smtp: MAILRU_SCOPES, imap: MAILRU_SCOPES, pop: MAILRU_SCOPES }, // for POP unverified
  identity_scopes: ['openid'],
  offline_scope: 'offline_access',
  authorization_params: { prompt: 'consent', prompt_force: '1' },
  client: {
    secret: 'required',
    type: 'web application',
    register_url: 'https://oauth.mail.ru/app/',
    redirect_to_register: `http://localhost:${REGISTERED_PORT}/`,
    note: 'Mail.ru compares the whole redirect URI',
  },
  redirect: { host: 'localhost', path: '/', port: REGISTERED_PORT },
  flows: { browser: true, device: false, manual: true, device_note: 'Mail.ru has no device flow' },
  servers: {
    smtp: [implicitTls('smtp.mail.ru', 465), startTls('smtp.mail.ru', 587)],
    imap: [implicitTls('imap.mail.ru', 993)],
    pop: [implicitTls('pop.mail.ru', 995)],
  },
  detect: {
    domains: domainList('mail.ru inbox.ru list.ru bk.ru corp.mail.ru'),
    mx_suffixes: ['mxs.mail.ru', 'emx.mail.ru'], // unverified
  },
  notes: ['sources disagree whether smtp.mail.ru takes tokens; if the login test is refused, use an app password'],
};

const COMCAST_SCOPES = ['https://email.comcast.net/'];

export const comcast: OAuthProvider = {
  id: 'comcast',
  name: 'Comcast Xfinity',
  oauth: 'restricted',
  reason: 'Comcast registers OAuth clients of partners only, and is moving its mailboxes to Yahoo Mail',
  app_password: {
    unavailable: 'no app passwords are known here; a mailbox that has moved to Yahoo has those of Yahoo',
  },
  endpoints: {
    authorization_endpoint: 'https://oauth.xfinity.com/oauth/authorize',
    token_endpoint: 'https://oauth.xfinity.com/oauth/token',
  },
  scopes: { smtp: COMCAST_SCOPES, imap: COMCAST_SCOPES, pop: COMCAST_SCOPES },
  identity_scopes: ['profile', 'openid'],
  authorization_params: {},
  client: {
    secret: 'required',
    type: 'as agreed with Comcast',
    redirect_to_register: `http://localhost:${REGISTERED_PORT}/`,
  },
  redirect: { host: 'localhost', path: '/', port: REGISTERED_PORT },
  flows: { browser: true, device: false, manual: true, device_note: 'Comcast has no device flow' },
  servers: {
    smtp: [implicitTls('smtp.comcast.net', 465), startTls('smtp.comcast.net', 587)],
    imap: [implicitTls('imap.comcast.net', 993)],
    pop: [implicitTls('mail.comcast.net', 995)],
  },
  detect: { domains: ['comcast.net', 'xfinity.com'], mx_suffixes: ['comcast.net'], mx_decides: true },
};

const SEZNAM_SCOPES = ['identity', 'email'];

export const seznam: OAuthProvider = {
  id: 'seznam',
  name: 'Seznam.cz',
  oauth: 'supported',
  endpoints: {
    issuer: 'https://login.seznam.cz',
    authorization_endpoint: 'https://login.seznam.cz/api/v1/oauth/auth',
    token_endpoint: 'https://login.seznam.cz/api/v1/oauth/token',
  },
  scopes: { smtp: SEZNAM_SCOPES, imap: SEZNAM_SCOPES, pop: SEZNAM_SCOPES },
  identity_scopes: [],
  authorization_params: {},
  client: {
    secret: 'none', // how clients are registered is unverified
    type: 'public client with PKCE',
    redirect_to_register: 'http://127.0.0.1/seznam',
  },
  redirect: { host: '127.0.0.1', path: '/seznam' }, // that any port is taken is unverified
  flows: { browser: true, device: false, manual: true, device_note: 'Seznam has no device flow' },
  servers: {
    smtp: [implicitTls('smtp.seznam.cz', 465)],
    imap: [implicitTls('imap.seznam.cz', 993)],
    pop: [implicitTls('pop3.seznam.cz', 995)],
  },
  detect: { domains: domainList('seznam.cz email.cz post.cz spoluzaci.cz'), mx_suffixes: [] },
};

const THUNDERMAIL_SCOPES = ['openid', 'profile', 'email'];
const THUNDERMAIL_REALM = 'https://auth.tb.pro/realms/tbpro';

export const thundermail: OAuthProvider = {
  id: 'thundermail',
  name: 'Thundermail (tb.pro)',
  oauth: 'supported',
  endpoints: {
    issuer: THUNDERMAIL_REALM,
    authorization_endpoint: `${THUNDERMAIL_REALM}/protocol/openid-connect/auth`,
    token_endpoint: `${THUNDERMAIL_REALM}/protocol/openid-connect/token`,
  },
  scopes: { smtp: THUNDERMAIL_SCOPES, imap: THUNDERMAIL_SCOPES },
  identity_scopes: THUNDERMAIL_SCOPES,
  offline_scope: 'offline_access',
  authorization_params: { prompt: 'consent' },
  client: {
    secret: 'none',
    type: 'public client, granted by Thunderbird',
    redirect_to_register: 'http://localhost',
  },
  redirect: { host: 'localhost', path: '/' },
  flows: { browser: true, device: false, manual: true, device_note: 'no device endpoint is known' }, // unverified
  servers: {
    smtp: [implicitTls('mail.thundermail.com', 465)],
    imap: [implicitTls('mail.thundermail.com', 993)],
  },
  detect: { domains: ['thundermail.com', 'tb.pro'], mx_suffixes: ['thundermail.com'] }, // the MX unverified
};
