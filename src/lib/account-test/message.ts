/** The short mail that an account sends to itself. Pure. */
import type { SmtpMessage } from '../mail/smtp.ts';

export interface TestMessage {
  address: string;
  /** Without brackets. */
  messageId: string;
  /** Milliseconds since the epoch. */
  now: number;
}

/** @see RFC 5322; RFC 3834, so that no vacation reply comes back */
export function testMessage({ address, messageId, now }: TestMessage): SmtpMessage {
  const raw = [
    `From: <${address}>`,
    `To: <${address}>`,
    'Subject: cms account test',
    `Date: ${new Date(now).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${messageId}>`,
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    'This account can send mail: this message was sent by "cms account test --send".',
    '',
  ];
  return { from: address, to: address, raw: raw.join('\r\n') };
}
