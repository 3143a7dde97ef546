#!/usr/bin/env node
'use strict';
// `cms token` is called for every connection of a mail program, and `cms serve` stays for months: both do without the
// command framework, and are CommonJS, because Node starts its loader for ES modules only where there are some (5 ms of
// 30, and 4 MB of 58).
const { join } = require('node:path');

// Without a listener of ours SIGUSR1 opens Node's debugger on a port that every user of this host can connect to.
process.on('SIGUSR1', () => undefined);
// Stacks name the sources where somebody will read them; reading the maps takes time.
if (process.env.CMS_DEBUG) process.setSourceMapsEnabled(true);

const [command, ...argv] = process.argv.slice(2);
const asksForHelp = argv.some((word) => word === '-h' || word === '--help');
if (command === 'token' && !asksForHelp) {
  const { tokenFromBroker } = require('../dist/program/token.cjs');
  // One file for each way: Node reads a file from its beginning to its end before it runs a line of it.
  const alone = () => require('../dist/program/token-alone.cjs').tokenAlone(argv, process.env);
  tokenFromBroker(argv, process.env).then(async (status) => end(status ?? (await alone())));
} else if (command === 'serve' && !asksForHelp) {
  const { serveMain } = require('../dist/program/serve.cjs');
  // Room for what lives shortly and for what does not makes the broker larger and no answer faster. To be said before
  // that room has grown, but not before the program is loaded: V8 compiles anew what was cached under other flags.
  const { setFlagsFromString } = require('node:v8');
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=20');
  serveMain(argv, process.env, require('../package.json').version).then(end);
} else {
  const program = { root: join(__dirname, '..'), pjson: require('../package.json') };
  import('../dist/program/main.js').then(({ runBuilt }) => runBuilt(process.argv.slice(2), program));
}

function end(status) {
  process.exitCode = status;
}
