/** The pages that a person sees at the embedded authorization server: plain forms that need no script. */
import type { KoaContextWithOIDC } from 'oidc-provider';

function page(title: string, body: string): string {
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head>
<body><h1>${escapeHtml(title)}</h1>
${body}
</body></html>
`;
}

export function loginPage(action: string, hint: string, problem?: string): string {
  const notice = problem === undefined ? '' : `<p role="alert">${escapeHtml(problem)}</p>`;
  return page(
    'Sign in',
    `${notice}<form method="post" action="${escapeHtml(action)}">
<input type="text" name="login" value="${escapeHtml(hint)}" autofocus>
<input type="password" name="password">
<button type="submit" name="submit" value="login">Sign in</button>
</form>`,
  );
}

export function consentPage(action: string, client: string, login: string, scopes: readonly string[]): string {
  const items = scopes.map((scope) => `<li>${escapeHtml(scope)}</li>`).join('');
  return page(
    'Allow access?',
    `<p>${escapeHtml(client)} asks to act for ${escapeHtml(login)}:</p><ul>${items}</ul>
<form method="post" action="${escapeHtml(action)}">
<button type="submit" name="consent" value="allow">Allow</button>
<button type="submit" name="consent" value="deny">Deny</button>
</form>`,
  );
}

/** @see RFC 8628 section 3.3; `form` comes from the library and has an id but no button. */
export function userCodePage(ctx: KoaContextWithOIDC, form: string, _out?: unknown, error?: Error): void {
  const notice = error === undefined ? '' : `<p role="alert">${escapeHtml(error.message)}</p>`;
  ctx.body = page(
    'Connect a device',
    `${notice}${form}<button type="submit" form="op.deviceInputForm">Continue</button>`,
  );
}

export function userCodeConfirmPage(
  ctx: KoaContextWithOIDC,
  form: string,
  _client: unknown,
  _deviceInfo: unknown,
  userCode: string,
): void {
  ctx.body = page(
    'Is this the code on your device?',
    `<p><code>${escapeHtml(userCode)}</code></p>${form}
<button type="submit" form="op.deviceConfirmForm">Continue</button>`,
  );
}

export function deviceSuccessPage(ctx: KoaContextWithOIDC): void {
  ctx.body = page('Device connected', '<p>You can close this page.</p>');
}

export function errorPage(out: object): string {
  const lines = Object.entries(out).map(([name, value]) => `<pre>${escapeHtml(`${name}: ${String(value)}`)}</pre>`);
  return page('That did not work', lines.join('\n'));
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
