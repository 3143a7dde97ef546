/** The mail to the administrator who has to change a setting. */
import type { AdminMail } from '../core/errors.ts';
import type { Explanation } from './explain.ts';

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

/** An explanation as JSON has it: with the mail in the place of what it is made from. */
export function withAdminMail(explanation: Explanation): Omit<Explanation, 'admin'> & { admin_mail?: AdminMail } {
  const { admin: _admin, ...rest } = explanation;
  const mail = adminMail(explanation);
  return { ...rest, ...(mail && { admin_mail: mail }) };
}
