/** Requests to end this process, and work that is finished before it does. */
import { elapsedMs } from './monotonic.ts';

export type EndSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

const END_SIGNALS: readonly EndSignal[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];
/**
 * Signals that follow each other this closely are one request: GNU timeout sends SIGTERM to its child and then to the
 * group, a closing terminal SIGHUP through the kernel and through the shell, a service manager SIGTERM and then SIGHUP.
 */
const ONE_REQUEST_MS = 1000;

export interface EndRequests {
  first: (signal: EndSignal) => void;
  /** A later request, for those who do not want to wait. */
  again: (signal: EndSignal) => void;
}

/** Takes the signals. @returns a function that gives them back */
export function onEndRequests(signals: readonly EndSignal[], { first, again }: EndRequests): () => void {
  let asked: number | undefined;
  const heard = (signal: EndSignal): void => {
    if (asked === undefined) {
      asked = elapsedMs();
      first(signal);
    } else if (elapsedMs() - asked > ONE_REQUEST_MS) {
      again(signal);
    }
  };
  for (const signal of signals) process.on(signal, heard);
  return () => {
    for (const signal of signals) process.off(signal, heard);
  };
}

const underWay = new Set<Promise<unknown>>();
let giveBack: (() => void) | undefined;
let asked: EndSignal | undefined;

/**
 * Does work that must not be cut off, which is to be short. A signal that would end the process ends it when all such
 * work is done; a second request ends it immediately. A program that handles a signal itself is left to do so.
 */
export async function uninterrupted<T>(work: () => Promise<T>): Promise<T> {
  giveBack ??= onEndRequests(END_SIGNALS, { first: (signal) => (asked = signal), again: endBy });
  const working = work();
  underWay.add(working);
  try {
    return await working;
  } finally {
    underWay.delete(working);
    if (underWay.size === 0) endIfAsked();
  }
}

/** Resolves when no such work is under way. */
export async function allFinished(): Promise<void> {
  while (underWay.size > 0) await Promise.allSettled([...underWay]);
}

function endIfAsked(): void {
  const signal = asked;
  asked = undefined;
  if (signal === undefined) {
    giveBack?.();
    giveBack = undefined;
  } else {
    endBy(signal);
  }
}

/** As the signal would have done it. */
function endBy(signal: EndSignal): void {
  giveBack?.();
  giveBack = undefined;
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
