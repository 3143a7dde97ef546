/** A server that speaks TLS and hands every request on to one that does not. */
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:https';
import { closeServer, listen } from './provider/gateway.ts';

export interface TlsFront extends AsyncDisposable {
  port: number;
  /** Path of each request, in order. */
  requests: string[];
}

/** @param upstream origin of the server behind, `http://127.0.0.1:PORT` */
export async function startTlsFront(upstream: string, pair: { key: string; cert: string }): Promise<TlsFront> {
  const requests: string[] = [];
  const server = createServer({ key: pair.key, cert: pair.cert }, (request, response) => {
    const { method, headers, url = '/' } = request;
    requests.push(url);
    const onward = httpRequest(new URL(url, upstream), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  const port = await listen(server);
  return { port, requests, [Symbol.asyncDispose]: () => closeServer(server) };
}
