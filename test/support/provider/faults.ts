/** Faults that many tests need. @see Gateway */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault, FaultOutcome, Reply } from './gateway.ts';

/** Answers in the provider's place; an object becomes JSON. */
export function answer(status: number, body: string | object = '', headers: Record<string, string> = {}): Fault {
  const json = typeof body === 'object';
  const reply: Reply = {
    status,
    headers: { 'content-type': json ? 'application/json' : 'text/html; charset=utf-8', ...headers },
    body: json ? JSON.stringify(body) : body,
  };
  return () => reply;
}

/** An error answer of the token endpoint. @see RFC 6749 section 5.2 */
export function tokenError(error: string, description?: string, status = 400): Fault {
  return answer(status, description === undefined ? { error } : { error, error_description: description });
}

/** The provider does its work, a rotation included, and the client never hears of it. */
export const dropResponse: Fault = async (_request, forward): Promise<FaultOutcome> => {
  await forward();
  return 'reset';
};

/** Never answers. */
export const hang: Fault = () => 'hang';

/** Cuts the connection before the provider has seen the request. */
export const reset: Fault = () => 'reset';

/** Holds the request back for a while, then lets it pass. */
export function delay(milliseconds: number): Fault {
  return async () => {
    await sleep(milliseconds);
    return undefined;
  };
}

/** Changes the fields of the provider's own JSON answer; undefined takes a field out. */
export function rewrite(change: (answer: Record<string, unknown>) => Record<string, unknown>): Fault {
  return async (_request, forward) => {
    const reply = await forward();
    const changed = change(JSON.parse(reply.body.toString()) as Record<string, unknown>);
    return { ...reply, body: JSON.stringify(changed) };
  };
}

/** Applies `fault` to the first `times` requests and leaves the others alone. */
export function first(times: number, fault: Fault): Fault {
  let left = times;
  return (request, forward) => (left-- > 0 ? fault(request, forward) : undefined);
}
