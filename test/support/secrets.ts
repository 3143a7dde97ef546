/** Secrets in and out of tests. Two of them are equal to assert.deepEqual whatever they hold: compare what is revealed. */
import { Secret } from '../../src/lib/core/secret.ts';
import type { GrantSecrets } from '../../src/lib/vault/grant.ts';

export type Revealed<T> =
  T extends Secret<infer V>
    ? V
    : T extends readonly (infer E)[]
      ? Revealed<E>[]
      : T extends object
        ? { [K in keyof T]: Revealed<T[K]> }
        : T;

/** A copy with every secret in it revealed. */
export function revealed<T>(value: T): Revealed<T> {
  return reveal(value) as Revealed<T>;
}

function reveal(value: unknown): unknown {
  if (value instanceof Secret) return value.reveal();
  if (Array.isArray(value)) return value.map(reveal);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, reveal(each)]));
}

/** The secrets of a grant from plain ones. */
export function grantSecrets(plain: Revealed<GrantSecrets>): GrantSecrets {
  const { refresh_token, previous_refresh_token, access_token, client_secret, password, ...others } = plain;
  const { registration_access_token, ...rest } = others;
  return {
    ...rest,
    ...wrap('refresh_token', refresh_token),
    ...wrap('previous_refresh_token', previous_refresh_token),
    ...wrap('access_token', access_token),
    ...wrap('client_secret', client_secret),
    ...wrap('password', password),
    ...wrap('registration_access_token', registration_access_token),
  };
}

function wrap<K extends string>(name: K, value: string | undefined): Partial<Record<K, Secret>> {
  return value === undefined ? {} : ({ [name]: new Secret(value) } as Record<K, Secret>);
}
