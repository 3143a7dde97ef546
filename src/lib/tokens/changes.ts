/**
 * Which accounts have another grant than at the last look. Code that looks at ten thousand accounts several times a
 * second then looks at those only. Each caller keeps the cursor that it was given.
 */
export class Changes {
  readonly #most: number;
  #addresses: string[] = [];
  /** Cursor of the first address that is kept. */
  #first = 0;

  /** @param most how many are kept; an onlooker that comes later than that has to look at all */
  constructor(most = 1024) {
    this.#most = most;
  }

  note(address: string): void {
    if (this.#addresses.length >= this.#most) this.noteAll();
    else this.#addresses.push(address);
  }

  /** Any may have changed. */
  noteAll(): void {
    this.#first += this.#addresses.length + 1;
    this.#addresses = [];
  }

  /** To be given to `since` the next time. */
  get cursor(): number {
    return this.#first + this.#addresses.length;
  }

  /** The accounts that have changed since then, perhaps more than once; undefined: look at all. */
  since(cursor: number): readonly string[] | undefined {
    return cursor < this.#first ? undefined : this.#addresses.slice(cursor - this.#first);
  }
}
