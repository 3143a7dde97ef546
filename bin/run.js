#!/usr/bin/env node
'use strict';
// `cms token` is called for every connection of a mail program: it does not wait for the command framework, and this
// file is CommonJS, because Node starts its loader for ES modules only where there are some (5 ms of 30).
const { join } = require('node:path');

// Without a listener of ours SIGUSR1 opens Node's debugger on a port that every user of this host can connect to.
process.on('SIGUSR1', () => undefined);
// Stacks name the sources where somebody will read them; reading the maps takes time.
if (process.env.CMS_DEBUG) process.setSourceMapsEnabled(true);

const [command, ...argv] = process.argv.slice(2);
if (command === 'token' && !argv.some((word) => word === '-h' || word === '--help')) {
  const { tokenFromBroker } = require('../dist/program/token.cjs');
  // One file for each way: Node reads a file from its beginning to its end before it runs a line of it.
  const alone = () => require('../dist/program/token-alone.cjs').tokenAlone(argv, process.env);
  tokenFromBroker(argv, process.env).then(async (status) => (process.exitCode = status ?? (await alone())));
} else {
  // Room for what lives shortly makes the broker larger (120 MB for 90 after load) and no answer faster. It has to be
  // said before that room has grown.
  if (command === 'serve') require('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
  const program = { root: join(__dirname, '..'), pjson: require('../package.json') };
  import('../dist/program/main.js').then(({ runBuilt }) => runBuilt(process.argv.slice(2), program));
}
