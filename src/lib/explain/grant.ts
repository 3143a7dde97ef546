/** Why a grant came to an end, from what is kept about it. */
import { type Explanation, explain } from './explain.ts';
import type { Subject } from './fill.ts';

export interface EndedGrant {
  address: string;
  /** Milliseconds since the epoch, as all times here. */
  signed_in_at: number;
  reason?: { error: string; description?: string; at: number; since?: number };
}

const DAY_MS = 86_400_000;

/** @param more what else is known of the account; undefined where no reason was kept */
export function explainReason(
  { address, signed_in_at, reason }: EndedGrant,
  more: Subject = {},
): Explanation | undefined {
  if (reason === undefined) return undefined;
  const { error: code, description: text, at, since = at } = reason;
  return explain({ source: 'oauth', address, ...more, code, text, age: (since - signed_in_at) / DAY_MS });
}
