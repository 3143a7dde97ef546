/** All rows, in order. */
import type { Row } from '../harness.ts';
import { concurrent } from './01-concurrent.ts';
import { silent } from './02-silent.ts';
import { halfOpen } from './03-half-open.ts';
import { vanish } from './04-vanish.ts';
import { oversized } from './05-oversized.ts';
import { fuzz } from './06-fuzz.ts';
import { singleFlight } from './07-single-flight.ts';

export const ROWS: readonly Row[] = [concurrent, silent, halfOpen, vanish, oversized, fuzz, singleFlight];
