/**
 * Why there is no new token for an account, as far as its grant does not say so itself: the last error of each, until
 * the step that failed has succeeded.
 */
import type { CmsError } from '../core/errors.ts';

/** In the order in which they are taken. */
export type Step = 'read' | 'bind' | 'lock' | 'write' | 'exchange';

export interface Trouble {
  step: Step;
  error: CmsError;
  /** Milliseconds since the epoch: when this step first failed. */
  since: number;
}

export class Troubles {
  readonly #all = new Map<string, Trouble>();
  readonly #now: () => number;
  readonly #changed: (address: string, trouble: Trouble | undefined) => void;

  /** @param changed told when another error comes, or none is left */
  constructor(now: () => number, changed: (address: string, trouble: Trouble | undefined) => void) {
    this.#now = now;
    this.#changed = changed;
  }

  of(address: string): Trouble | undefined {
    return this.#all.get(address);
  }

  addresses(): Iterable<string> {
    return this.#all.keys();
  }

  note(address: string, step: Step, error: CmsError): void {
    const before = this.#all.get(address);
    const isSame = before?.step === step && before.error.code === error.code;
    const trouble = { step, error, since: isSame ? Math.min(before.since, this.#now()) : this.#now() };
    this.#all.set(address, trouble);
    if (!isSame) this.#changed(address, trouble);
  }

  /** The step has succeeded; without one, all of them have. */
  clear(address: string, step?: Step): void {
    const trouble = this.#all.get(address);
    if (trouble === undefined || (step !== undefined && trouble.step !== step)) return;
    this.#all.delete(address);
    this.#changed(address, undefined);
  }
}
