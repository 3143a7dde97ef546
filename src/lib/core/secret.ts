/** A secret on its way through the program: it can be handed on, compared and revealed, but not printed by mistake. */
import { inspect } from 'node:util';
import { REDACTED, remember } from './redact.ts';

/**
 * Holds a secret where no log, template, JSON or stack shows it. Code that needs it calls `reveal()`, which is done
 * only where it leaves the program: in the sealed file, in the request to the provider, on the wire, in a login, on
 * stdout. The output filter knows it from now on.
 */
export class Secret<T extends string | Buffer = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
    for (const form of formsToRemember(value)) remember(form);
  }

  reveal(): T {
    return this.#value;
  }

  /** In a time that says nothing about where they differ, nor about their lengths. */
  equals(other: Secret<T>): boolean {
    // Not imported: `cms token` holds a secret and compares none, and this module is the largest that it would load.
    const { createHash, timingSafeEqual } = process.getBuiltinModule('node:crypto');
    const digest = (value: T): Buffer => createHash('sha256').update(value).digest();
    return timingSafeEqual(digest(this.#value), digest(other.#value));
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

/** Nobody sees raw bytes in a text; keys are written in these two ways, and base64 of either is no third one. */
function formsToRemember(value: string | Buffer): string[] {
  return typeof value === 'string' ? [value] : [value.toString('base64'), value.toString('hex')];
}
