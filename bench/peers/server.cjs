/**
 * The least that a server can do in Node: the same answer to every line, no matter who asks.
 * server.cjs SOCKET ANSWER_BYTES
 */
const { createServer } = require('node:net');

const [, , path, bytes] = process.argv;
const answer = 'a'.repeat(Number(bytes));

const server = createServer({ allowHalfOpen: true }, (socket) => {
  let received = '';
  socket.setEncoding('latin1');
  socket.on('data', (text) => {
    received += text;
    if (received.includes('\n')) socket.end(answer, 'latin1');
  });
  socket.on('end', () => {
    if (!socket.writableEnded) socket.end(answer, 'latin1');
  });
  socket.on('error', () => socket.destroy());
});
server.listen({ path, backlog: 4096 });
