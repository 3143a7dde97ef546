/** The mail to whoever has to turn a switch. */
import type { Explanation } from './explain.ts';

export interface AdminMail {
  subject: string;
  body: string;
}

/** A mail that can be sent as it stands, or undefined where no administrator is needed. */
export function adminMail({ admin, words, link }: Explanation): AdminMail | undefined {
  if (admin === undefined) return undefined;
  const body = [
    'Hello,',
    '',
    ...admin.request,
    '',
    'What the server says:',
    `  ${words}`,
    ...(link === undefined ? [] : ['', `Background: ${link}`]),
    '',
    'Thank you!',
    '',
  ];
  return { subject: admin.subject, body: body.join('\n') };
}

/** The mail as text, to be piped into a mail program: header, blank line, body. */
export function renderAdminMail({ subject, body }: AdminMail): string {
  return `Subject: ${subject}\n\n${body}`;
}
