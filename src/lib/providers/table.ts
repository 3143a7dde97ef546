/** All presets, in the order in which a person is offered them, and the other names they answer to. */
import type { Provider } from './provider.ts';
import { custom } from './presets/custom.ts';
import { google } from './presets/google.ts';
import {
  microsoft,
  microsoft21Vianet,
  microsoftDod,
  microsoftGccHigh,
  microsoftPersonal,
} from './presets/microsoft.ts';
import { comcast, fastmail, mailru, seznam, thundermail, yandex } from './presets/others.ts';
import { gmx, gmxCom, icloud, proton, webDe, zoho } from './presets/passwords.ts';
import { aol, att, yahoo } from './presets/yahoo.ts';

export const PRESETS: readonly Provider[] = [
  google,
  microsoft,
  microsoftPersonal,
  microsoftGccHigh,
  microsoftDod,
  microsoft21Vianet,
  yahoo,
  aol,
  att,
  fastmail,
  yandex,
  mailru,
  comcast,
  seznam,
  thundermail,
  zoho,
  gmx,
  gmxCom,
  webDe,
  proton,
  icloud,
  custom,
];

const ALIASES: Readonly<Record<string, string>> = {
  gmail: 'google',
  'google-workspace': 'google',
  'microsoft-work': 'microsoft',
  microsoft365: 'microsoft',
  office365: 'microsoft',
  o365: 'microsoft',
  exchange: 'microsoft',
  'gcc-high': 'microsoft-gcc-high',
  dod: 'microsoft-dod',
  '21vianet': 'microsoft-21vianet',
  outlook: 'microsoft-personal',
  'outlook.com': 'microsoft-personal',
  hotmail: 'microsoft-personal',
  verizon: 'aol',
  xfinity: 'comcast',
  'mail.ru': 'mailru',
  'web.de': 'webde',
  apple: 'icloud',
  oidc: 'custom',
};

/**
 * The preset that `id` names, by its id or an alias, in any case.
 * `own` are presets of the user or the organisation; they win over shipped ones of the same id.
 */
export function findProvider(id: string, own: readonly Provider[] = []): Provider | undefined {
  const name = id.toLowerCase();
  const all = [...own, ...PRESETS];
  const canonical = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
  return all.find((provider) => provider.id === name) ?? all.find((provider) => provider.id === canonical);
}

/** The ids of all presets, `custom` last. */
export function providerIds(own: readonly Provider[] = []): string[] {
  return [...new Set([...own, ...PRESETS].map((provider) => provider.id))];
}
