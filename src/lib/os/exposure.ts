/**
 * The options of Node and V8 with which a process writes its memory, or what it receives, into files, or opens a debugger.
 * Pure. @see the output of `node --help` and `node --v8-options` of Node 20, 22 and 24
 */
/**
 * By their beginnings, so that the next one of a family counts too: debuggers; snapshots, profiles and samples of the
 * heap; diagnostic reports (they hold the environment and the stack); core dumps; traces and logs of V8; keys of TLS.
 */
const FAMILIES = [
  /^inspect|^debug|^experimental-.*inspect/,
  /^heap-?snapshot|^heap-?prof|^sampling-heap|^build-snapshot|^cpu-prof|^prof|^ll-prof|^perf-|^gdbjit|^vtune/,
  /^report-|^diagnostic-dir|^abort-on|^dump-|^turbo-profiling|^redirect-code-traces/,
  /^trace(?!-(?:warnings|deprecation|uncaught|exit|sigint|sync-io|require-module)$)|^log(?!in)/,
  /^tls-keylog/,
  // A file that may name any of these.
  /^experimental-(?:default-)?config-file/,
];

/** Node's own log of HTTP repeats headers, and with them client secrets and tokens. */
const LOGS_HEADERS = /http|\*/i;

/** @returns what has to be taken away before this process may hold a secret, as it was written; undefined for nothing */
export function exposedBy(
  execArgv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const option = [...execArgv, ...wordsOf(env.NODE_OPTIONS ?? '')].find(isExposing);
  if (option !== undefined) return option.replace(/=.*/s, '');
  return LOGS_HEADERS.test(env.NODE_DEBUG ?? '') ? 'NODE_DEBUG' : undefined;
}

/** Node takes `_` for `-`, V8 a single `-` for two. */
function isExposing(word: string): boolean {
  const name = /^--?([^=]+)/.exec(word)?.[1]?.replaceAll('_', '-');
  return name !== undefined && FAMILIES.some((family) => family.test(name));
}

/** The words of NODE_OPTIONS as Node reads them: blanks part them, quotes hold them together, `\` is for within quotes. */
function wordsOf(options: string): string[] {
  const words = options.match(/(?:"(?:\\.|[^"\\])*"?|[^ "])+/gs) ?? [];
  return words.map((word) =>
    word.replace(/"((?:\\.|[^"\\])*)"?/gs, (_all, quoted: string) => quoted.replace(/\\(.)/gs, '$1')),
  );
}
