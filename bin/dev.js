#!/usr/bin/env -S node --import tsx
// Runs the sources as they are; for work on cms itself.
import process from 'node:process';
import { run, flush } from '@oclif/core';
import { reportStartFailure } from '../src/oclif-errors.ts';

process.env.NODE_ENV = 'development';
await run(process.argv.slice(2), import.meta.url)
  .catch((error) => reportStartFailure(error, process.argv))
  .finally(() => flush());
