/**
 * A process that makes connections: plain JavaScript, so that it starts at once and spends its time on sockets. It is
 * told what to do by messages, see load.ts, and answers each with one message.
 */
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers';
import { fuzzCase, judge } from './fuzz.mjs';

const held = new Set();
const JOBS = { open, fire, release, loop, rate, fuzz, vanish };

process.on('message', (job) => {
  JOBS[job.kind](job).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: String(error?.stack ?? error) }),
  );
});

/** Connects; while the backlog is full, which a UNIX socket says with EAGAIN, again. */
function dial(path, started) {
  const socket = connect({ path, allowHalfOpen: true });
  const onError = (error) => {
    if (error.code === 'EAGAIN') setTimeout(() => dial(path, started), 5);
    else started(undefined, error.code);
  };
  socket.once('error', onError);
  socket.once('connect', () => {
    socket.off('error', onError);
    socket.on('error', () => undefined);
    started(socket);
  });
}

/** Opens connections that say nothing yet. */
async function open({ path, connections }) {
  let failed = 0;
  await new Promise((resolve) => {
    let left = connections;
    const done = () => --left === 0 && resolve();
    for (let i = 0; i < connections; i++) {
      dial(path, (socket) => {
        if (socket === undefined) failed++;
        else {
          const connection = { socket, closedAt: undefined, openedAt: performance.now() };
          socket.once('close', () => (connection.closedAt = performance.now()));
          socket.on('end', () => socket.end());
          socket.resume();
          held.add(connection);
        }
        done();
      });
    }
  });
  return { opened: held.size, failed };
}

/** Sends a request on every open connection at once. */
async function fire({ request, expected, timeoutMs }) {
  const sockets = [...held].map(({ socket }) => socket);
  held.clear();
  const tally = { right: 0, wrong: 0, latencies: [] };
  const began = performance.now();
  await Promise.all(
    sockets.map((socket) => exchange(socket, request, timeoutMs).then((got) => count(tally, got, expected))),
  );
  return { ...tally, totalMs: performance.now() - began };
}

function count(tally, { answer, ms }, expected) {
  tally.latencies.push(ms);
  if (answer === expected) tally.right++;
  else tally.wrong++;
}

function exchange(socket, request, timeoutMs) {
  return new Promise((resolve) => {
    const began = performance.now();
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (text) => (answer += text));
    const end = () => resolve({ answer, ms: performance.now() - began });
    socket.once('end', end);
    socket.once('close', end);
    if (timeoutMs !== undefined) socket.setTimeout(timeoutMs, () => socket.destroy());
    socket.end(request, 'latin1');
  });
}

/** How the open connections fare, and the end of those that are left. */
async function release() {
  const all = [...held];
  const closed = all.flatMap(({ openedAt, closedAt }) => (closedAt === undefined ? [] : [closedAt - openedAt]));
  for (const { socket } of all) socket.destroy();
  held.clear();
  return { open: all.length - closed.length, closedAfterMs: closed };
}

function once(path, request, timeoutMs = 10_000) {
  return new Promise((resolve) => {
    dial(path, (socket, code) => {
      if (socket === undefined) resolve({ answer: `!${code}`, ms: 0 });
      else exchange(socket, request, timeoutMs).then(resolve);
    });
  });
}

/** `total` requests, `concurrency` at once. */
async function loop({ path, request, expected, total, concurrency }) {
  const tally = { right: 0, wrong: 0, latencies: [] };
  const began = performance.now();
  let left = total;
  const runner = async () => {
    while (left-- > 0) count(tally, await once(path, request), expected);
  };
  await Promise.all(Array.from({ length: concurrency }, runner));
  return { ...tally, totalMs: performance.now() - began };
}

/** A steady stream. `pattern` judges where the answer changes from time to time. */
async function rate({ path, request, pattern, perSecond, seconds }) {
  const expected = new RegExp(pattern, 's');
  const tally = { right: 0, wrong: 0, examples: [], latencies: [] };
  const pending = new Set();
  const began = performance.now();
  let sent = 0;
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * perSecond);
    for (; sent < due; sent++) {
      const one = once(path, request).then(({ answer, ms }) => {
        tally.latencies.push(ms);
        if (expected.test(answer)) tally.right++;
        else {
          tally.wrong++;
          if (tally.examples.length < 5) tally.examples.push(`${answer.slice(0, 60)} after ${ms.toFixed(0)} ms`);
        }
        pending.delete(one);
      });
      pending.add(one);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(pending);
  return { ...tally, totalMs: performance.now() - began };
}

/** Random and mutated requests; the seed makes each of them again. */
async function fuzz({ path, seed, total, concurrency, facts }) {
  const wrong = [];
  let answered = 0;
  let next = 0;
  const began = performance.now();
  const runner = async () => {
    while (next < total) {
      const index = next++;
      const request = fuzzCase(seed, index, facts.addresses);
      const { answer } = await once(path, request);
      const verdict = judge(request, answer, facts);
      if (answer !== '' && !answer.startsWith('!')) answered++;
      if (verdict !== undefined && wrong.length < 20) wrong.push(`seed ${seed} case ${index}: ${verdict}`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runner));
  return { answered, wrong, totalMs: performance.now() - began };
}

/** Clients that go away: before the request, after it, in the middle of it, or with the answer unread. */
async function vanish({ path, request, total, concurrency }) {
  let next = 0;
  const ways = [
    (socket, done) => {
      socket.destroy();
      done();
    },
    (socket, done) => socket.write(request, () => (socket.destroy(), done())),
    (socket, done) => socket.write(request.slice(0, 5), () => (socket.destroy(), done())),
    (socket, done) => {
      socket.pause();
      socket.end(request, () => setTimeout(() => (socket.destroy(), done()), 1));
    },
    (socket, done) => {
      socket.write(request);
      socket.destroy();
      done();
    },
  ];
  const runner = async () => {
    while (next < total) {
      const way = ways[next++ % ways.length];
      await new Promise((resolve) => dial(path, (socket) => (socket === undefined ? resolve() : way(socket, resolve))));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runner));
  return { total };
}
