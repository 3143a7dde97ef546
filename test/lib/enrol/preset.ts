import assert from 'node:assert/strict';
import type { OAuthProvider } from '../../../src/lib/providers/provider.ts';
import { findProvider } from '../../../src/lib/providers/table.ts';

/** A preset that can sign in with OAuth. */
export function provider(id: string): OAuthProvider {
  const found = findProvider(id);
  assert.ok(found && found.oauth !== 'none');
  return found;
}
