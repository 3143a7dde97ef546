/** Expansions of exim that say whose mail a message is, which line that is, and whether the local user may use it. */
import { DETAIL } from './line-fields.ts';
import type { EximOptions } from './options.ts';

/** Seconds that a mail waits for what only a person can do: 14 days. */
const PATIENCE_SECONDS = 14 * 24 * 60 * 60;

/** Condition: the mail has waited as long as mail may. */
export const IS_LATE = `>{$message_age}{${PATIENCE_SECONDS}}`;

/** Expansion: what a redirect router says to a mail that cannot leave now. */
export const WAIT = `\${if ${IS_LATE}{:fail:}{:defer:}}`;

/** Expansion: the addresses in a header line, raw, but those of this host. */
function addressesIn(header: string): string {
  return `\${filter{<: \${addresses:\${reduce{<: $lh_${header}}{}{$value,$item}}}}\\
  {!match_domain{\${domain:$item}}{+local_domains}}}`;
}

/**
 * Whose mail a message is, as macros: routers and access control go by the same.
 * @see RFC 5322 section 3.6.2: of several authors the Sender: is the one who sends; 3.6.6: who sends again
 */
export const SENDER_MACROS = `# Who sends the mail? The envelope sender; if a program left that to exim, the address in From:, or the one in Sender:
# if From: does not hold exactly one. The header lines are parsed as they came, before anything in them is decoded, so
# a display name never chooses the account. CMS_BARE reads an address whose display name should have been in quotes.
CMS_AUTHORS = \${if def:h_resent-from:{${addressesIn('resent-from:')}}{${addressesIn('from:')}}}
CMS_SUBMITTER = \${if def:h_resent-from:{${addressesIn('resent-sender:')}}{${addressesIn('sender:')}}}
CMS_PERSONS = \${if and{{!={1}{\${listcount:<: CMS_AUTHORS}}}{!eq{CMS_SUBMITTER}{}}}{CMS_SUBMITTER}{CMS_AUTHORS}}
CMS_BARE = \${if match{$rh_from:}{\\N^[^"<>(),]*<([^<>@"(),:\\x3b\\s]+@[A-Za-z0-9.-]+)>\\s*$\\N}{$1}{$sender_address}}
CMS_WRITER = \${if eq{CMS_PERSONS}{}{CMS_BARE}{\${listextract{1}{<: CMS_PERSONS}}}}
CMS_MAIL_OF = \${if match_domain{$sender_address_domain}{+local_domains}{\${lc:CMS_WRITER}}{$sender_address}}
`;

/**
 * Expansion: the line of the smart-hosts file for a sender.
 * @param sender a variable that holds it
 */
export function lineOf(sender: string, { smartHostsFile }: Pick<EximOptions, 'smartHostsFile'>): string {
  const found = (key: string, otherwise: string): string =>
    `\${lookup{${key}}lsearch{${smartHostsFile}}{$value}\\\n    {${otherwise}}}`;
  const withoutDetail = `\${sg{${sender}}{\\N${DETAIL}\\N}{\\$1@}}`;
  const fallback = `\${lookup{*}lsearch{${smartHostsFile}}}`;
  return found(sender, found(withoutDetail, found(`\${domain:${sender}}`, fallback)));
}

/** Expansion: why the local user may not send with a line, or nothing. What exim itself has to report passes. */
export function refusalBy(users: string, account: string): string {
  const itself = 'and{{eq{$sender_address}{}}{={$originator_uid}{$exim_uid}}}';
  return `\${if or{{eq{${users}}{}}{inlisti{$sender_ident}{<, ${users}}}{${itself}}}\\
    {}{this local user may not send as ${account}}}`;
}
