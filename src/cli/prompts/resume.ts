/** What was answered, as flags: so that a first run that was given up can go on where it stopped. Pure. */
import type { ClientAnswer } from '../../lib/enrol/choose-client.ts';
import type { Questions } from '../../lib/enrol/enrol.ts';
import type { CmsError } from '../../lib/core/errors.ts';
import { quoted } from '../../lib/core/shell-word.ts';

export interface Answers {
  questions: Questions;
  /** Never a secret: those are asked for again. */
  flags: () => string[];
}

/** `questions` with a memory. */
export function remembering(questions: Questions): Answers {
  const said: string[] = [];
  return {
    flags: () => [...said],
    questions: {
      ...questions,
      provider: async (...asked) => {
        const answer = await questions.provider(...asked);
        said.push('--provider', answer.provider.id, ...flag('--issuer', answer.issuer));
        return answer;
      },
      client: async (question) => {
        const answer = await questions.client(question);
        said.push(...clientFlags(answer));
        return answer;
      },
      issuer: async () => {
        const answer = await questions.issuer();
        said.push('--issuer', answer);
        return answer;
      },
      server: async (protocol, ...asked) => {
        const answer = await questions.server(protocol, ...asked);
        // There are no flags for a POP server.
        if (protocol !== 'pop' && answer !== undefined) {
          said.push(...flag(`--${protocol}-host`, answer.host), ...flag(`--${protocol}-port`, answer.port));
          said.push(...flag(`--${protocol}-tls`, answer.tls));
        }
        return answer;
      },
      authority: async (report) => {
        const answer = await questions.authority(report);
        said.push(...flag('--ca-file', answer));
        return answer;
      },
      store: async () => {
        const answer = await questions.store();
        said.push('--store', answer);
        return answer;
      },
    },
  };
}

/** A secret that was typed is asked for again, and with it the client that it belongs to. */
function clientFlags(answer: ClientAnswer): string[] {
  if (answer.kind === 'password') return [];
  const { clientId, clientSecret, tenant, scope, redirectPort } = answer.wishes;
  const file = answer.kind === 'client' ? answer.file : undefined;
  const named = file?.flag !== '--client-file' && (clientSecret === undefined || file !== undefined);
  return [
    ...(named ? flag('--client-id', clientId) : []),
    ...(file === undefined ? [] : [file.flag, file.path]),
    ...flag('--tenant', tenant),
    ...flag('--scope', scope),
    ...flag('--redirect-port', redirectPort),
    ...(answer.kind === 'register' ? ['--register'] : []),
  ];
}

function flag(name: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [name, String(value)];
}

/**
 * A failure whose commands keep what was given and answered; one that has none gets the command that goes on. The
 * failure itself where there is nothing but secrets to keep.
 */
export function resumable(
  failure: CmsError,
  address: string,
  given: readonly string[],
  answered: string[],
  excludes: (flag: string) => readonly string[] = () => [],
): CmsError {
  const dropped = failure.code === 'identity_mismatch' ? UNASKED : [];
  const all = flagsOf([...given.filter((word) => word !== address), ...answered]);
  const kept = all.filter(([flag = '']) => !dropped.includes(flag));
  const start = `cms account add ${quoted(address)}`;
  const keeping = (line: string): string => withFlags(kept, start, line, excludes);
  const isSignIn = (line: string): boolean => line === start || line.startsWith(`${start} `);
  const suggestions = failure.suggestions.map((line) => (isSignIn(line) ? keeping(line) : again(keeping(start), line)));
  if (!suggestions.some(isSignIn) && (answered.length > 0 || !given.includes(address)))
    suggestions.unshift(`${keeping(start)}   # goes on where you stopped`);
  return failure.inOtherWords(failure.message, suggestions);
}

/** The command itself, where it is advised to run it again. */
function again(command: string, line: string): string {
  const [, before, after] = /^(?:(.*), then )?run the command again\b(.*)$/.exec(line) ?? [];
  if (after === undefined) return line;
  return `${command}   # ${before === undefined ? '' : `${before}, then `}again${after}`;
}

/** What keeps a person from being asked, or a mail server from telling, who signed in. */
const UNASKED: readonly string[] = ['--yes', '--json', '--no-test'];

/** Flags as they were understood, each of them a word that says what it belongs to, and a value another one. */
export function wordsOf(flags: Readonly<Record<string, unknown>>, address: string): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (typeof value === 'boolean') return [value ? `--${name}` : `--no-${name}`];
    return [value].flat().flatMap((each) => {
      const text = String(each);
      // A word of its own would be taken for a flag, or for ADDRESS.
      return text === '' || text === address || text.startsWith('-') ? [`--${name}=${text}`] : [`--${name}`, text];
    });
  });
}

/** Flags with their values. */
function flagsOf(words: readonly string[]): string[][] {
  const flags: string[][] = [];
  for (const word of words) {
    if (word.startsWith('-') || flags.length === 0) flags.push([word]);
    else flags.at(-1)?.push(word);
  }
  return flags;
}

/** Flags that stand for each other. */
const CLIENT_FLAGS = ['--client-id', '--client-secret-file', '--client-file', '--register'];

/** `line` with the flags that it does not bring itself. */
function withFlags(
  flags: readonly string[][],
  start: string,
  line: string,
  excludes: (flag: string) => readonly string[],
): string {
  const own = line.replace(/\s#\s.*$/, '').match(/(?<=\s)--[\w-]+/g) ?? [];
  const client = own.some((flag) => ['--client-id', '--client-file'].includes(flag)) ? CLIENT_FLAGS : [];
  const replaced = [...own, ...client, ...own.flatMap(excludes)];
  const others = flags.filter(([flag = '']) => !replaced.includes(flag.replace(/=.*$/, '')));
  return [start, ...others.flat().map(quoted)].join(' ') + line.slice(start.length);
}

export { quoted };
