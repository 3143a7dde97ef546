#!/usr/bin/env -S node --import tsx
'use strict';
// Runs the sources as they are; for work on cms itself.
const { join } = require('node:path');

process.env.NODE_ENV = 'development';
const program = { root: join(__dirname, '..'), pjson: require('../package.json') };
import('../src/cli/oclif/main.ts').then(({ runSources }) => runSources(process.argv.slice(2), program));
