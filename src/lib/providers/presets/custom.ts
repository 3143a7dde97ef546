import type { SupportedProvider } from '../provider.ts';

/** Any other authorization server: endpoints come from discovery or flags, and the mail servers too. */
export const custom: SupportedProvider = {
  id: 'custom',
  name: 'another server (OpenID Connect, Keycloak, Authentik, Stalwart …)',
  oauth: 'supported',
  endpoints: {},
  // Mail servers with an OpenID Connect server of their own rarely want more than to know who comes.
  scopes: { smtp: [], imap: [], pop: [] },
  identity_scopes: ['openid', 'email'],
  offline_scope: 'offline_access',
  authorization_params: { prompt: 'consent', login_hint: '{login}' },
  client: {
    secret: 'optional',
    type: 'public client with PKCE (native application)',
    redirect_to_register: 'http://127.0.0.1/',
    note: 'where the server compares the port too, register one and name it with --redirect-port',
  },
  redirect: { host: '127.0.0.1', path: '/' },
  flows: {
    browser: true,
    device: true,
    manual: true,
    device_note: 'needs a device authorization endpoint, from discovery or --device-authorization-endpoint',
  },
  servers: {},
  detect: { domains: [], mx_suffixes: [] },
};
