/** Members of a list hold its links themselves. */
export interface Linked<T> {
  previous: T | undefined;
  next: T | undefined;
}

/**
 * A list for members that come and go by the thousand. A Set would be shorter, but each table that it outgrows keeps
 * its members and the next table alive until a full collection: a quarter of all objects of the broker survived so.
 */
export class LinkedList<T extends Linked<T>> {
  #first: T | undefined;
  #last: T | undefined;

  /** The member that has been here longest. */
  get first(): T | undefined {
    return this.#first;
  }

  /** `member` is in no list. */
  append(member: T): void {
    member.previous = this.#last;
    if (this.#last === undefined) this.#first = member;
    else this.#last.next = member;
    this.#last = member;
  }

  /** `member` is in this list. */
  remove(member: T): void {
    const { previous, next } = member;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    member.previous = undefined;
    member.next = undefined;
  }

  /** The members may leave the list meanwhile. */
  forEach(visit: (member: T) => void): void {
    for (let member = this.#first; member !== undefined;) {
      const { next } = member;
      visit(member);
      member = next;
    }
  }
}
