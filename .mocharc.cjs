'use strict';
const { availableParallelism } = require('node:os');

module.exports = {
  'node-option': ['import=tsx'],
  // Much of a test is waiting for processes: two files at a time pay even on one processor.
  parallel: true,
  jobs: Math.max(2, availableParallelism()),
  timeout: 20_000,
  slow: 2000,
  require: ['test/support/hooks.ts'],
};
