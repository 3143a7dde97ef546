/** What the programs of this test process have advised so far. */

const ADVISED = Symbol.for('cms.test.advised');

/** In the process and not in the module, which the runner may load a second time for its hooks. */
function lines(): Set<string> {
  const holder = globalThis as unknown as Record<symbol, Set<string> | undefined>;
  return (holder[ADVISED] ??= new Set<string>());
}

/** Keeps the commands of `cms: try:` in what was said on stderr, of a pipeline the first one. */
export function noteAdvice(stderr: string): void {
  for (const [, line = ''] of stderr.matchAll(/^cms: try: ((?:sudo .*?)?cms .*)$/gm)) {
    const [command = ''] = line.split(/ (?:[<>|;]|&&)/);
    // An account of an older version, which is to be removed: a flag for the parser.
    if (!/ -[^ ]*@/.test(command)) lines().add(command);
  }
}

/** @returns those that have not been asked for yet */
export function takeAdvised(): string[] {
  const all = [...lines()];
  lines().clear();
  return all;
}
