/**
 * The page that the browser shows after the redirect. Pure. No scripts, nothing loaded, everything escaped, and headers
 * that hold a browser to that.
 */
import { createHash } from 'node:crypto';

export interface PageContent {
  tone: 'good' | 'bad' | 'open';
  title: string;
  /** Paragraphs. */
  lines: string[];
  /** A command to type, shown as such. */
  command?: string;
}

export interface Page {
  status: number;
  headers: Record<string, string>;
  body: string;
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5a6677; --paper: #f4f6f8; --card: #ffffff; --line: #d9dfe6;
  --good: #1a7f4b; --bad: #b3261e; --open: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #a3afbd; --paper: #14181d; --card: #1d232b;
  --line: #333c47; --good: #4cc38a; --bad: #ff8a80; --open: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
main { width: 100%; max-width: 34rem; padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-top: .3rem solid var(--tone); border-radius: .6rem; overflow-wrap: anywhere; }
.good { --tone: var(--good); } .bad { --tone: var(--bad); } .open { --tone: var(--open); }
h1 { margin: 0 0 .8rem; font-size: 1.35rem; line-height: 1.3; }
p { margin: 0 0 .7rem; } p:last-child { margin-bottom: 0; }
code { display: block; padding: .6rem .8rem; background: var(--paper); border-radius: .4rem;
  font: .95rem/1.5 ui-monospace, monospace; }
@media (max-width: 30rem) { body { padding: .75rem; } main { padding: 1.2rem; } h1 { font-size: 1.15rem; } }
footer { margin-top: 1.4rem; color: var(--soft); font-size: .85rem; }
`;

/** The page with its headers. `status` is the HTTP status. */
export function renderPage(content: PageContent, status = 200): Page {
  const { tone, title, lines, command } = content;
  const body = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · cms</title>
<style>${STYLE}</style>
</head>
<body>
<main class="${tone}">
<h1>${escapeHtml(title)}</h1>
${lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('\n')}
${command === undefined ? '' : `<p><code>${escapeHtml(command)}</code></p>`}
<footer>cms, on this computer</footer>
</main>
</body>
</html>
`;
  return { status, headers: headersFor(body), body };
}

function headersFor(body: string): Record<string, string> {
  const style = createHash('sha256').update(STYLE).digest('base64');
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'content-security-policy': `default-src 'none'; style-src 'sha256-${style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    connection: 'close',
  };
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

export const signedInPage = (identity: string | undefined, address: string): PageContent => ({
  tone: 'good',
  title: identity === undefined ? `Signed in for ${address}` : `Signed in as ${identity}`,
  lines: [`cms can now log in to the mail servers for ${address}.`, 'You can close this tab.'],
});

export const failurePage = (message: string, command?: string): PageContent => ({
  tone: 'bad',
  title: 'Not signed in',
  lines: [`What went wrong: ${message}.`, 'Nothing was changed. You can close this tab and try again in the terminal.'],
  ...(command !== undefined && { command }),
});

export const unknownPage = (address: string): PageContent => ({
  tone: 'open',
  title: `Signed in for ${address}?`,
  lines: [
    'The provider does not say who signed in. Please answer the question in the terminal.',
    'You can close this tab.',
  ],
});

export const questionPage = (identity: string, login: string): PageContent => ({
  tone: 'open',
  title: `Signed in as ${identity}`,
  lines: [`cms expected ${login}. Please answer the question in the terminal.`, 'You can close this tab.'],
});
