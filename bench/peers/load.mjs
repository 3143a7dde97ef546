/**
 * The closed loop of ../native/load.c for machines without a C compiler, with the same arguments and output. It costs
 * more than the servers that it asks: its figures compare servers with each other and say nothing about their limits.
 */
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers';

const [, , path, line, answerBytes, requests, clients, silent] = process.argv;
const expected = Number(answerBytes);
const total = Number(requests);
const latencies = [];
let begun = 0;
let wrong = 0;

/** A full backlog is EAGAIN here, where a blocking client waits. */
function dial(use) {
  const socket = connect({ path, allowHalfOpen: true });
  const onError = (error) => {
    if (error.code !== 'EAGAIN') throw error;
    setTimeout(() => dial(use), 1);
  };
  socket.once('error', onError);
  socket.once('connect', () => {
    socket.off('error', onError);
    socket.on('error', () => undefined);
    use(socket);
  });
}

function begin(done) {
  if (begun >= total) return done();
  begun++;
  const began = performance.now();
  dial((socket) => {
    let received = 0;
    socket.on('data', (chunk) => (received += chunk.length));
    socket.on('end', () => {
      latencies.push((performance.now() - began) * 1000);
      if (received !== expected) wrong++;
      begin(done);
    });
    socket.end(`${line}\n`);
  });
}

const held = [];
await Promise.all(
  Array.from({ length: Number(silent) }, () => new Promise((resolve) => dial((socket) => resolve(held.push(socket))))),
);
if (held.length > 0) await new Promise((resolve) => setTimeout(resolve, 200));
const began = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, () => new Promise(begin)));
const seconds = (performance.now() - began) / 1000;
latencies.sort((a, b) => a - b);
const quantile = (share) => Number((latencies[Math.floor(share * (total - 1))] ?? 0).toFixed(1));
const result = { perSecond: total / seconds, p50: quantile(0.5), p99: quantile(0.99), wrong };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(wrong > 0 ? 1 : 0));
