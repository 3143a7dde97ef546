/** All rows, in order. */
import type { Row } from '../harness.ts';
import { concurrent } from './01-concurrent.ts';
import { silent } from './02-silent.ts';
import { halfOpen } from './03-half-open.ts';
import { vanish } from './04-vanish.ts';
import { oversized } from './05-oversized.ts';
import { fuzz } from './06-fuzz.ts';
import { singleFlight } from './07-single-flight.ts';
import { providerDown } from './08-provider-down.ts';
import { statusCodes } from './09-status-codes.ts';
import { hostileBodies } from './10-hostile-bodies.ts';
import { hang } from './11-hang.ts';
import { invalidGrant } from './12-invalid-grant.ts';
import { clientErrors } from './13-client-errors.ts';
import { expiresIn } from './14-expires-in.ts';
import { clock } from './15-clock.ts';
import { rotationCrash } from './16-rotation-crash.ts';
import { storeFails } from './17-store-fails.ts';
import { keyringLocked } from './18-keyring-locked.ts';
import { keyringGone } from './19-keyring-gone.ts';
import { diskFull } from './20-disk-full.ts';
import { killWhileWriting } from './21-kill-while-writing.ts';
import { socketGone } from './22-socket-gone.ts';
import { drain } from './23-drain.ts';
import { reload } from './24-reload.ts';
import { oneOwner } from './25-one-owner.ts';
import { restart } from './26-restart.ts';
import { descriptors } from './27-descriptors.ts';
import { soak } from './28-soak.ts';
import { beside } from './29-beside.ts';
import { callback } from './30-callback.ts';
import { twoLogins } from './31-two-logins.ts';
import { signals } from './32-signals.ts';
import { clockFailures } from './33-clock-failures.ts';
import { fullMeanwhile } from './34-full-meanwhile.ts';
import { flood } from './35-flood.ts';
import { fleet } from './36-fleet.ts';

export const ROWS: readonly Row[] = [
  concurrent,
  silent,
  halfOpen,
  vanish,
  oversized,
  fuzz,
  singleFlight,
  providerDown,
  statusCodes,
  hostileBodies,
  hang,
  invalidGrant,
  clientErrors,
  expiresIn,
  clock,
  rotationCrash,
  storeFails,
  keyringLocked,
  keyringGone,
  diskFull,
  killWhileWriting,
  socketGone,
  drain,
  reload,
  oneOwner,
  restart,
  descriptors,
  soak,
  beside,
  callback,
  twoLogins,
  signals,
  clockFailures,
  fullMeanwhile,
  flood,
  fleet,
];
