/** What a mutation is: one line of the sources made wrong, and the tests that have to notice. */
export interface Mutation {
  /** From the root of the repository. */
  file: string;
  /** The text that is there, exactly once. */
  old: string;
  new: string;
  /** Test files; one of their tests has to fail. */
  tests: readonly string[];
  /** The tests run the built program, which is built again with the mutation in it. */
  built?: true;
  /** Only the tests whose title matches, where a file takes long. */
  grep?: string;
}

export type Verdict =
  /** A test failed. */
  | 'killed'
  /** All tests passed: they would not notice. */
  | 'survived'
  /** `old` is not there, or not once: the sources have moved on. */
  | 'stale'
  /** Nothing was run, say because `new` is not TypeScript. */
  | 'broken';

export interface Outcome {
  mutation: Mutation;
  verdict: Verdict;
  seconds: number;
  detail?: string;
}

/** The source with the mutation in it, or undefined where its text is not there exactly once. Pure. */
export function mutated(source: string, { old, new: replacement }: Mutation): string | undefined {
  const at = source.indexOf(old);
  if (at < 0 || source.includes(old, at + 1)) return undefined;
  return source.slice(0, at) + replacement + source.slice(at + old.length);
}

/** What a run of mocha shows: a test that failed is told from a file that could not even be loaded. Pure. */
export function verdictOf({ status, output, timedOut }: Run): Verdict {
  const passing = /^ {2}[1-9]\d* passing/m.test(output);
  const failing = /^ {2}[1-9]\d* failing/m.test(output);
  // Endless, or killed by what it did: the suite would not have passed.
  if (timedOut || failing) return 'killed';
  return status === 0 && passing ? 'survived' : 'broken';
}

export interface Run {
  status: number | null;
  output: string;
  timedOut: boolean;
}

/** Pure. */
export function scoreOf(outcomes: readonly Outcome[]): string {
  const count = (verdict: Verdict): number => outcomes.filter((each) => each.verdict === verdict).length;
  const others = (['survived', 'stale', 'broken'] as const).map((verdict) => `${count(verdict)} ${verdict}`);
  return `${count('killed')} of ${outcomes.length} killed, ${others.join(', ')}`;
}
