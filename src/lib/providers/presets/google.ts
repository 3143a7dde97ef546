import type { SupportedProvider } from '../provider.ts';
import { implicitTls, startTls } from './parts.ts';

const MAIL = ['https://mail.google.com/'];

export const google: SupportedProvider = {
  id: 'google',
  name: 'Google (Gmail and Google Workspace)',
  oauth: 'supported',
  app_password: {
    url: 'https://myaccount.google.com/apppasswords', // unverified
    how: 'turn on 2-Step Verification, then create an app password',
  },
  endpoints: {
    issuer: 'https://accounts.google.com',
    authorization_endpoint: 'https://accounts.google.com/o/oauth2/v2/auth',
    token_endpoint: 'https://oauth2.googleapis.com/token',
    // Kept although mail cannot be had through it: see flows.device_note.
    device_authorization_endpoint: 'https://oauth2.googleapis.com/device/code',
    revocation_endpoint: 'https://oauth2.googleapis.com/revoke',
    userinfo_endpoint: 'https://openidconnect.googleapis.com/v1/userinfo', // unverified
  },
  scopes: { smtp: MAIL, imap: MAIL, pop: MAIL },
  identity_scopes: ['openid', 'email'],
  // access_type=offline is Google's offline_access, and without prompt=consent a second sign-in brings no refresh token.
  authorization_params: { access_type: 'offline', prompt: 'consent', login_hint: '{login}' },
  client: {
    secret: 'required',
    type: 'Desktop app',
    register_url: 'https://console.cloud.google.com/auth/clients/create', // unverified
    steps: [
      'a project:       https://console.cloud.google.com/projectcreate', // unverified
      'its scope:       https://console.cloud.google.com/auth/scopes', // unverified
      'publish it:      https://console.cloud.google.com/auth/audience (else it ends after 7 days)', // unverified
    ],
    redirect_to_register: 'none: a desktop client takes every http://127.0.0.1 address',
    note: 'Google issues a secret to desktop clients and demands it, but does not regard it as confidential',
  },
  redirect: { host: '127.0.0.1', path: '/' },
  flows: {
    browser: true,
    device: false,
    manual: true,
    device_note:
      'Google refuses mail scopes in the device flow (invalid_scope); without a browser on this machine use ' +
      '--flow manual, or forward the port with ssh -L',
  },
  servers: {
    smtp: [
      implicitTls('smtp.gmail.com', 465),
      startTls('smtp.gmail.com', 587),
      startTls('smtp-relay.gmail.com', 587), // Workspace relay
    ],
    imap: [implicitTls('imap.gmail.com', 993)],
    pop: [implicitTls('pop.gmail.com', 995)],
  },
  detect: { domains: ['gmail.com', 'googlemail.com'], mx_suffixes: ['google.com', 'googlemail.com'] },
  expiry_note:
    'Google ends a sign-in after 7 days while the consent screen is in "Testing" (publish it: "In production"), after ' +
    '6 months without use, on a password change, and the oldest one beyond 100 for one client',
  notes: [
    'a Workspace administrator may forbid the mail scope (admin_policy_enforced)',
    'a client that is not used for 6 months is deleted (deleted_client); it can be restored for 30 days',
    'revoking takes away everything that was granted to the project, other machines included',
  ],
};
