/** An HTTP proxy on loopback that opens tunnels (CONNECT), and knows names that no name service does. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { closeServer, listen } from './provider/gateway.ts';

export interface ProxyOptions {
  /** `user:password` that it demands. */
  credentials?: string;
  /** Answers every CONNECT with this status. */
  refuse?: number;
}

export interface ProxyServer extends AsyncDisposable {
  port: number;
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** `host:port` of each tunnel that was asked for, opened or not. */
  asked: string[];
  stop: () => Promise<void>;
}

/** Every tunnel ends on loopback, at the port that was asked for, whatever the name. */
export async function startProxy({ credentials, refuse }: ProxyOptions = {}): Promise<ProxyServer> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((_request, response) => response.writeHead(400).end('only CONNECT'));
  server.on('connect', (request: IncomingMessage, client: Socket) => {
    asked.push(request.url ?? '');
    client.on('error', () => client.destroy());
    const sent = request.headers['proxy-authorization'];
    const wanted = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    const status = wanted !== undefined && sent !== wanted ? 407 : refuse;
    if (status !== undefined) return void client.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
    const port = Number(request.url?.split(':').at(-1));
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.pipe(client).pipe(upstream);
    });
    sockets.add(upstream).add(client);
    upstream.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'));
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  const port = await listen(server);
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await closeServer(server);
  };
  return { port, url: `http://127.0.0.1:${port}`, asked, stop, [Symbol.asyncDispose]: stop };
}
