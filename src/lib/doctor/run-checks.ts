/** Walking through the checks: those that depend on nothing at once, each with a time limit, told in their order. */
import { because, type Check, failed, failure, isBroken, type Judgement, keyOf } from './check.ts';

export interface Step {
  id: string;
  subject: string;
  /** Keys of steps before this one; when one of them failed, this one is left out because of it. */
  needs?: readonly string[];
  /** Keys of steps that must be done before, whatever they came to. */
  after?: readonly string[];
  /** Milliseconds; default 10000. */
  limitMs?: number;
  /** @param result of a step that this one needs or comes after */
  look: (result: (key: string) => Check | undefined) => Promise<Judgement>;
}

export interface WalkOptions {
  /** Milliseconds on any clock. */
  now: () => number;
  /** Told of each check, in the order of the steps, as soon as it and those before it are done. */
  done: (check: Check) => void;
  /** How many are under way at once; default 8. */
  atOnce?: number;
}

const LIMIT_MS = 10_000;

/** Makes all checks. Never throws for what one of them meets. A step may name only steps before it. */
export async function walk(steps: readonly Step[], { now, done, atOnce = 8 }: WalkOptions): Promise<Check[]> {
  const results = new Map<string, Check>();
  const pending = new Map<string, Promise<Check>>();
  const places = new Places(atOnce);
  for (const step of steps) {
    const { needs = [], after = [] } = step;
    const before = [...needs, ...after].flatMap((key) => pending.get(key) ?? []);
    const make = async (): Promise<Check> => {
      await Promise.all(before);
      const broken = needs.map((key) => results.get(key)).find(isBroken);
      const check =
        broken === undefined ? await places.hold(() => timed(step, results, now)) : about(step, because(broken));
      results.set(keyOf(step), check);
      return check;
    };
    pending.set(keyOf(step), make());
  }
  const checks: Check[] = [];
  for (const each of pending.values()) {
    const check = await each;
    checks.push(check);
    done(check);
  }
  return checks;
}

function about({ id, subject }: Step, judgement: Judgement, ms = 0): Check {
  return { id, subject, ...judgement, ms };
}

async function timed(step: Step, results: ReadonlyMap<string, Check>, now: () => number): Promise<Check> {
  const began = now();
  const { limitMs = LIMIT_MS } = step;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Judgement>((resolve) => {
    timer = setTimeout(() => resolve(tooLate(limitMs)), limitMs);
  });
  const looked = step.look((key) => results.get(key)).catch((error: unknown) => failed(error));
  const judgement = await Promise.race([looked, late]);
  clearTimeout(timer);
  return about(step, judgement, Math.round(now() - began));
}

function tooLate(limitMs: number): Judgement {
  return failure('temporarily_unavailable', `nothing came of it within ${limitMs / 1000} s`, {
    cause: 'the time limit of this check',
    fix: ['cms doctor   # once more, when the machine or the network is less busy'],
  });
}

class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
