/**
 * The least that a client can do in Node, in one file without modules of its own: ask the broker, print the token.
 * client.cjs SOCKET REQUEST
 */
const { connect } = require('node:net');

const [, , path, request] = process.argv;
let answer = '';
const socket = connect({ path, allowHalfOpen: true }, () => socket.end(request));
socket.setEncoding('latin1');
socket.on('data', (text) => (answer += text));
socket.on('error', () => process.exit(69));
socket.on('end', () => {
  const token = /auth=Bearer ([^\x01]+)/.exec(answer)?.[1];
  if (token === undefined) process.exit(75);
  process.stdout.write(`${token}\n`);
});
