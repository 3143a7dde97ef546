/** The configuration of exim, whole or by section. Pure; holds paths, names and domains, never account data. */
import { AUTHENTICATORS_SECTION } from './authenticators.ts';
import { aclSection, LOCAL_RETRY, mainSection, RETRY_SECTION, rewriteSection, SENDER_RETRY } from './main.ts';
import { type EximOptions, validateOptions } from './options.ts';
import { routersSection, senderRouters } from './routers.ts';
import { transportsSection } from './transports.ts';

export const SECTIONS = [
  'config',
  'authenticators',
  'smart-hosts',
  'transports',
  'routers',
  'retry',
  'rewrite',
] as const;
export type Section = (typeof SECTIONS)[number];

/**
 * One section of the configuration, or all of it for `config`.
 * @throws CmsError `config_invalid`, `data_invalid` for an option that cannot stand in configuration text
 */
export function renderConfig(options: EximOptions, section: Exclude<Section, 'smart-hosts'> = 'config'): string {
  const valid = validateOptions(options);
  switch (section) {
    case 'authenticators':
      return AUTHENTICATORS_SECTION;
    case 'transports':
      return transportsSection(valid);
    case 'routers':
      return routersSection(valid);
    case 'retry':
      return RETRY_SECTION;
    case 'rewrite':
      return rewriteSection(valid);
    case 'config':
      return [
        header(valid),
        mainSection(valid),
        routersSection(valid),
        aclSection(valid),
        transportsSection(valid),
        RETRY_SECTION,
        rewriteSection(valid),
        AUTHENTICATORS_SECTION,
      ].join('\n');
  }
}

/**
 * A section for a file of Debian's split configuration (`/etc/exim4/conf.d`): without `begin`, which Debian's own first
 * file of each folder holds. Mail for this host, and the retries of what is not ours, are left to Debian.
 * @throws CmsError `config_invalid`, `data_invalid` for an option that cannot stand in configuration text
 * @see README.Debian of exim4, 2.1.3
 */
export function renderSplit(options: EximOptions, section: Exclude<Section, 'smart-hosts' | 'config'>): string {
  const valid = validateOptions(options);
  switch (section) {
    case 'routers':
      return senderRouters(valid).replace(/^ {2}driver = .*$/gm, '$&\n  domains = ! +local_domains');
    case 'retry':
      return `${LOCAL_RETRY}${SENDER_RETRY}`;
    default:
      return renderConfig(valid, section).replace(/^begin .*\n+/, '');
  }
}

function header({ smartHostsFile }: EximOptions): string {
  return `# exim4.conf: all mail that programs on this host send goes out through mail accounts, chosen by the sender's address.
# Made by "cms exim-config". It relays and does nothing else. Accounts are listed only in
# ${smartHostsFile}, one line each; logins come from the broker, "cms serve".
`;
}
