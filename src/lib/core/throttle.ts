/** What comes too often is counted instead of told. Pure but for its memory; time is what the caller says. */

export interface ThrottleOptions {
  /** So many of a kind are told within an interval; of one that goes on into the next, none but the count. */
  most: number;
  /** Milliseconds. */
  intervalMs: number;
}

export interface Counted<T> {
  count: number;
  /** The newest of those that were only counted. */
  last: T;
}

interface Interval<T> {
  since: number;
  most: number;
  told: number;
  counted: Counted<T> | undefined;
}

/** Kinds that are kept apart. There are as many as users, sockets and accounts; beyond that, all count as one. */
const MAX_KINDS = 20_000;
const ANY_OTHER = 'any other';

export class Throttle<T> {
  readonly #most: number;
  readonly #intervalMs: number;
  readonly #kinds = new Map<string, Interval<T>>();

  constructor({ most, intervalMs }: ThrottleOptions) {
    this.#most = most;
    this.#intervalMs = intervalMs;
  }

  /** Whether to tell of this one. Otherwise it is counted, and told of by `ended`. @param now monotonic milliseconds */
  admits(kind: string, event: T, now: number): boolean {
    const interval = this.#interval(kind, now);
    if (interval.told < interval.most) {
      interval.told++;
      return true;
    }
    if (interval.counted === undefined) interval.counted = { count: 1, last: event };
    else {
      interval.counted.count++;
      interval.counted.last = event;
    }
    return false;
  }

  /** Those that were only counted in intervals that are over; each is returned once. */
  ended(now: number): Counted<T>[] {
    const counts: Counted<T>[] = [];
    for (const [kind, interval] of this.#kinds) {
      if (now - interval.since < this.#intervalMs) continue;
      if (interval.counted === undefined) {
        this.#kinds.delete(kind);
        continue;
      }
      counts.push(interval.counted);
      const since = Number.isFinite(now) ? now : interval.since;
      this.#kinds.set(kind, { since, most: 0, told: 0, counted: undefined });
    }
    return counts;
  }

  #interval(kind: string, now: number): Interval<T> {
    const known = this.#kinds.get(kind);
    // One that is over and has counted something waits for `ended`.
    if (known !== undefined && (known.counted !== undefined || now - known.since < this.#intervalMs)) return known;
    if (known === undefined && kind !== ANY_OTHER && this.#kinds.size >= MAX_KINDS) {
      return this.#interval(ANY_OTHER, now);
    }
    const interval = { since: now, most: this.#most, told: 0, counted: undefined };
    this.#kinds.set(kind, interval);
    return interval;
  }
}
