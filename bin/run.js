#!/usr/bin/env node
// `cms token` is called for every connection of a mail program: it does not wait for the command framework.
import process from 'node:process';

// Without a listener of ours SIGUSR1 opens Node's debugger on a port that every user of this host can connect to.
process.on('SIGUSR1', () => undefined);

const [command, ...argv] = process.argv.slice(2);
if (command === 'token' && !argv.some((word) => word === '-h' || word === '--help')) {
  const { tokenMain } = await import('../dist/token-main.js');
  process.exitCode = await tokenMain(argv, process.env);
} else {
  const [{ run, flush }, { reportStartFailure }] = await Promise.all([
    import('@oclif/core'),
    import('../dist/oclif-errors.js'),
  ]);
  await run(process.argv.slice(2), import.meta.url)
    .catch((error) => reportStartFailure(error, process.argv))
    .finally(() => flush());
}
