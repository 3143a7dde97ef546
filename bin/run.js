#!/usr/bin/env node
'use strict';
// `cms token` is called for every connection of a mail program, and `cms serve` stays for months: both do without the
// command framework, and are CommonJS, because Node starts its loader for ES modules only where there are some (5 ms of
// 30, and 4 MB of 58).
//
// Older versions of Node have to be able to read this file (Debian 11 has Node 12, Debian 12 has 18): no syntax that is
// newer than theirs, and nothing is loaded before the version is known to be new enough.
const wanted = wantedVersion(process.versions.node.split('.').map(Number));
if (wanted === undefined) start(process.argv.slice(2));
else refuseNode(wanted);

/** What has to be installed instead of this version; undefined where this one will do. */
function wantedVersion([major, minor]) {
  // 21 and 22.0 to 22.2 lack what 20.16 and 22.3 have: process.getBuiltinModule().
  if (major === 21 || (major === 22 && minor < 3)) return '22.3 or newer';
  return major < 20 || (major === 20 && minor < 19) ? '20.19 or newer' : undefined;
}

function refuseNode(version) {
  const message = `cms needs Node.js ${version}, this is ${process.versions.node} (${process.execPath})`;
  const suggestion = 'sudo npm install --global n && sudo n 22   # or as https://nodejs.org/en/download says';
  const failure = { error: 'config_invalid', error_description: message, suggestions: [suggestion] };
  const words = `cms: error: ${message}\ncms: try: ${suggestion}`;
  process.stderr.write(`${process.argv.indexOf('--json') > 1 ? JSON.stringify(failure) : words}\n`);
  process.exitCode = 78;
}

function start(words) {
  // Without a listener of ours SIGUSR1 opens Node's debugger on a port that every user of this host can connect to.
  process.on('SIGUSR1', () => undefined);
  process.on('exit', leaveClosedTerminal);
  // Stacks name the sources where somebody will read them; reading the maps takes time.
  if (process.env.CMS_DEBUG) process.setSourceMapsEnabled(true);

  const [command, ...argv] = words;
  const asksForHelp = argv.some((word) => word === '-h' || word === '--help');
  if (command === 'token' && !asksForHelp) token(argv);
  else if (command === 'serve' && !asksForHelp) serve(argv);
  else {
    const program = { root: require('node:path').join(__dirname, '..'), pjson: require('../package.json') };
    import('../dist/program/main.js').then(({ runBuilt }) => runBuilt(words, program));
  }
}

/** Node gives its terminal back at the end, and aborts with a dump where that was closed meanwhile. */
function leaveClosedTerminal() {
  const { closeSync, fstatSync, openSync } = require('node:fs');
  for (const fd of [0, 1, 2]) {
    try {
      if (fstatSync(fd).isCharacterDevice() && !require('node:tty').isatty(fd)) {
        closeSync(fd);
        // Takes the number that has become free.
        openSync('/dev/null', 'r+');
      }
    } catch (error) {
      // Closed from the beginning; nothing else is worth a word at the end.
      if (error.code !== 'EBADF') return;
    }
  }
}

function token(argv) {
  const { tokenFromBroker } = require('../dist/program/token.cjs');
  // One file for each way: Node reads a file from its beginning to its end before it runs a line of it.
  const alone = () => require('../dist/program/token-alone.cjs');
  const inFull = (failure) => alone().inFull(process.env)(failure);
  tokenFromBroker(argv, process.env, inFull).then(async (status) =>
    end(status === undefined ? await alone().tokenAlone(argv, process.env) : status),
  );
}

function serve(argv) {
  const { serveMain } = require('../dist/program/serve.cjs');
  // Room for what lives shortly and for what does not makes the broker larger and no answer faster. To be said before
  // that room has grown, but not before the program is loaded: V8 compiles anew what was cached under other flags.
  const { setFlagsFromString } = require('node:v8');
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--heap-growing-percent=20');
  serveMain(argv, process.env, require('../package.json').version).then(end);
}

function end(status) {
  process.exitCode = status;
}
