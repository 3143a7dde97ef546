/** What was answered, as flags: so that a first run that was given up can go on where it stopped. Pure. */
import type { ClientAnswer } from '../lib/enrol/choose-client.ts';
import type { Questions } from '../lib/enrol/enrol.ts';
import type { CmsError } from '../lib/errors.ts';

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
export function resumable(failure: CmsError, address: string, given: readonly string[], answered: string[]): CmsError {
  const kept = flagsOf([...given.filter((word) => word !== address), ...answered]);
  const start = `cms account add ${address}`;
  const isSignIn = (line: string): boolean => line === start || line.startsWith(`${start} `);
  const suggestions = failure.suggestions.map((line) => (isSignIn(line) ? keeping(kept, start, line) : line));
  if (!failure.suggestions.some(isSignIn) && (answered.length > 0 || !given.includes(address)))
    suggestions.unshift(`${keeping(kept, start, start)}   # goes on where you stopped`);
  return failure.inOtherWords(failure.message, suggestions);
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
function keeping(flags: readonly string[][], start: string, line: string): string {
  const own = line.match(/--[\w-]+/g) ?? [];
  const replaced = own.some((flag) => ['--client-id', '--client-file'].includes(flag))
    ? [...own, ...CLIENT_FLAGS]
    : own;
  const others = flags.filter(([flag = '']) => !replaced.includes(flag.replace(/=.*$/, '')));
  return [start, ...others.flat().map(quoted)].join(' ') + line.slice(start.length);
}

/** As a POSIX shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
