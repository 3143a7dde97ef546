/** What the embedded authorization server remembers: one map in memory, shared by all its models. */
import type { Adapter, AdapterPayload } from 'oidc-provider';

interface Entry {
  payload: AdapterPayload;
  expiresAt: number;
}

export interface StorageOptions {
  /** Whether a used refresh token is marked as used. Without that mark reuse is never noticed. */
  consumeRefreshTokens: boolean;
  /** Milliseconds for which a used refresh token can be used again. Default 0. */
  reuseGraceMs?: number;
}

export class Storage {
  readonly #entries = new Map<string, Entry>();
  readonly #options: StorageOptions;
  readonly #issued = new Set<string>();

  constructor(options: StorageOptions) {
    this.#options = options;
  }

  adapter(model: string): Adapter {
    const key = (id: string) => `${model}:${id}`;
    return {
      upsert: async (id, payload, expiresIn) => {
        if (model === 'AccessToken' || model === 'RefreshToken') this.#issued.add(id);
        this.#set(key(id), payload, expiresIn);
      },
      find: async (id) => this.#get(key(id)),
      findByUid: async (uid) => this.#search(model, (payload) => payload.uid === uid),
      findByUserCode: async (userCode) => this.#search(model, (payload) => payload.userCode === userCode),
      consume: async (id) => this.#consume(model, key(id)),
      destroy: async (id) => void this.#entries.delete(key(id)),
      revokeByGrantId: async (grantId) => this.#forget((payload) => payload.grantId === grantId),
    };
  }

  /** Every access and refresh token that was ever issued. */
  get issuedTokens(): string[] {
    return [...this.#issued];
  }

  /** Forgets every grant of `accountId` and all that was issued under it. The sessions of the browser stay. */
  revokeGrantsOf(accountId: string): void {
    this.#forget((payload) => payload.accountId === accountId && payload.kind !== 'Session');
  }

  #set(key: string, payload: AdapterPayload, expiresIn = Infinity): void {
    this.#entries.set(key, { payload, expiresAt: Date.now() + expiresIn * 1000 });
  }

  #get(key: string): AdapterPayload | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expiresAt > Date.now()) return entry.payload;
    this.#entries.delete(key);
    return undefined;
  }

  #search(model: string, matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined {
    for (const key of this.#entries.keys()) {
      if (!key.startsWith(`${model}:`)) continue;
      const payload = this.#get(key);
      if (payload !== undefined && matches(payload)) return payload;
    }
    return undefined;
  }

  #consume(model: string, key: string): void {
    const payload = this.#get(key);
    if (payload === undefined) return;
    if (model === 'RefreshToken' && !this.#options.consumeRefreshTokens) return;
    const consume = (): void => void (payload.consumed = Math.floor(Date.now() / 1000));
    const { reuseGraceMs = 0 } = this.#options;
    if (model === 'RefreshToken' && reuseGraceMs > 0) setTimeout(consume, reuseGraceMs).unref();
    else consume();
  }

  #forget(matches: (payload: AdapterPayload) => boolean): void {
    for (const [key, { payload }] of this.#entries) {
      if (matches(payload)) this.#entries.delete(key);
    }
  }
}
