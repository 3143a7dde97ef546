/** The edge to the name service: what `detectProvider` is given outside of tests. */
import { resolveMx as lookUp } from 'node:dns/promises';
import { systemErrorCode } from '../core/errors.ts';

/**
 * Mail exchangers of `domain`, the most preferred first; none for a domain without any, or with a null MX (RFC 7505).
 * Rejects with Node's DNS errors for anything else.
 */
export async function resolveMx(domain: string): Promise<string[]> {
  try {
    const records = await lookUp(domain);
    return records
      .sort((a, b) => a.priority - b.priority)
      .map(({ exchange }) => exchange)
      .filter((exchange) => exchange !== '' && exchange !== '.');
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENODATA' || code === 'ENOTFOUND') return [];
    throw error;
  }
}
