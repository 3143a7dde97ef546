#!/usr/bin/env -S node --import tsx
// Runs the sources as they are; for work on cms itself.
import { run, flush, Errors } from '@oclif/core';

process.env.NODE_ENV = 'development';
await run(process.argv.slice(2), import.meta.url)
  .catch((error) => Errors.handle(error))
  .finally(() => flush());
