// Writes docs/troubleshooting.md anew, from the catalogue of src/lib/explain: npm run docs:generate
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { Entry } from '../src/lib/explain/entry.ts';
import { CATALOGUE } from '../src/lib/explain/explain.ts';
import { fill } from '../src/lib/explain/fill.ts';

export const PAGE = fileURLToPath(new URL('../docs/troubleshooting.md', import.meta.url));

const INTRODUCTION = `# Troubleshooting

<!-- Generated from src/lib/explain by npm run docs:generate -->

\`cms account test ADDRESS\` logs in at the mail servers and explains what they refuse; \`cms status\` and
\`cms account show ADDRESS\` explain why a sign-in has come to an end. This page is the same catalogue, to be searched for
the words that you see. Where an administrator has to act, \`cms account test ADDRESS --admin-mail\` writes the mail.

Where you do not know which link is broken, \`cms doctor\` walks them all, from the files to the MTA.

Replace the words in capitals; \`cms\` does that for your account.
`;

const CHAPTERS: readonly [title: string, belongs: (entry: Entry) => boolean][] = [
  ['Signing in and refreshing', (entry) => entry.sources[0] === 'oauth' && entry.match.aadsts === undefined],
  ['Microsoft: AADSTS codes', (entry) => entry.match.aadsts !== undefined],
  ['Sending: SMTP', (entry) => entry.sources[0] === 'smtp'],
  ['Reading: IMAP and POP', (entry) => entry.sources[0] === 'imap' || entry.sources[0] === 'pop'],
  ['Connections and tokens', (entry) => ['tls', 'net', 'token'].includes(entry.sources[0] ?? '')],
];

const WHO = {
  you: 'You can fix it',
  administrator: 'An administrator of your organisation has to act',
  'client owner': 'The person who registered the client can fix it; usually that is you',
  'nobody: wait': 'No one has to act; it passes',
} as const;

/** The whole page, formatted as the rest of the documentation. */
export async function renderTroubleshooting(): Promise<string> {
  const chapters = CHAPTERS.map(([title, belongs]) =>
    [`## ${title}`, ...CATALOGUE.filter(belongs).map(section)].join('\n\n'),
  );
  const markdown = [INTRODUCTION, ...chapters].join('\n');
  return format(markdown, { ...(await resolveConfig(PAGE)), parser: 'markdown' });
}

function section(entry: Entry): string {
  const { sentence, who, fix, example, link, match, admin } = entry;
  const others = (match.aadsts ?? []).slice(1).map((code) => `AADSTS${code}`);
  const plain = (match.errors ?? []).slice(1).map((error) => `\`${error}\``);
  const more = [...others, ...plain];
  return [
    `### ${upperFirst(text(sentence))}`,
    `> \`${example}\``,
    ...(more.length === 0 ? [] : [`Also: ${more.join(', ')}.`]),
    `${WHO[who]}${admin === undefined ? '' : '; `--admin-mail` writes the mail'}.`,
    fix.map((line) => `- ${step(text(line))}`).join('\n'),
    ...(link === undefined ? [] : [`See <${link}>.`]),
  ].join('\n\n');
}

/** What the account is called here. */
function text(template: string): string {
  return fill(template, {});
}

/** A command in a code span, with what stands behind its # as a remark. */
function step(line: string): string {
  if (!/^(?:cms |Set-|Add-|date\b)/.test(line)) return upperFirst(line.replaceAll('<', '&lt;'));
  const [command = '', remark] = line.split(/\s+# /);
  return `\`${command}\`${remark === undefined ? '' : ` (${remark})`}`;
}

function upperFirst(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, await renderTroubleshooting());
