/** A client of the broker's socket that sends and receives bytes as they are. */
import { connect } from 'node:net';

export interface RawRequest {
  /** Close the writing side after the request, as exim does. Default true. */
  halfClose?: boolean;
  /** Pieces are sent with a pause of this many milliseconds between them. */
  pauseMs?: number;
}

/** Everything that came until the broker closed, one character a byte; the error's code where there was no connection. */
export function talk(
  path: string,
  request: string | string[],
  { halfClose = true, pauseMs = 5 }: RawRequest = {},
): Promise<string> {
  const pieces = typeof request === 'string' ? [request] : [...request];
  return new Promise((resolve) => {
    const socket = connect({ path, allowHalfOpen: true });
    let received = '';
    let failure: string | undefined;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (received += text));
    socket.on('error', (error: NodeJS.ErrnoException) => (failure = error.code));
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(received === '' && failure !== undefined ? failure : received));
    const next = (): void => {
      const piece = pieces.shift();
      if (piece === undefined) {
        if (halfClose) socket.end();
        return;
      }
      socket.write(piece, 'latin1', () => (pieces.length > 0 ? setTimeout(next, pauseMs) : next()));
    };
    socket.on('connect', next);
  });
}
