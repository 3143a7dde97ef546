/**
 * A user who keeps a socket as busy as one process can: its last arguments are SOCKET, CONNECTIONS and REQUEST, which may be empty. It holds so many
 * connections, silent ones or ones that ask, and opens another for each that ends. Plain JavaScript, run as another user.
 */
import { connect } from 'node:net';
import { setTimeout } from 'node:timers';

const [path, connections, request] = process.argv.slice(-3);
const PAUSE_MS = 5;
let begun = 0;

function hold() {
  const socket = connect({ path, allowHalfOpen: true });
  let ended = false;
  const again = (wait) => {
    if (ended) return;
    ended = true;
    socket.destroy();
    setTimeout(hold, wait);
  };
  socket.once('connect', () => {
    if (++begun === Number(connections)) process.stdout.write('flooding\n');
    if (request !== '') socket.write(`${request}\n`);
  });
  // The backlog is full.
  socket.on('error', () => again(PAUSE_MS));
  socket.on('end', () => again(0));
  socket.on('close', () => again(0));
  socket.resume();
}

for (let i = 0; i < Number(connections); i++) hold();
