import type { Program } from '../../../src/lib/service/program.ts';
import { systemUnits, type UserService, userUnits } from '../../../src/lib/service/units.ts';

export const PROGRAM: Program = { node: '/usr/bin/node', script: '/usr/lib/node_modules/cms-oauth/bin/run.js' };

export const USER_SERVICE: UserService = {
  program: PROGRAM,
  environment: { CMS_CONFIG_DIR: '/home/jane/cms' },
  privateSocket: '%t/cms/cms.sock',
  eximSocket: '/run/cms/jane/exim.sock',
};

export const goldenUnits = {
  user: userUnits(USER_SERVICE),
  system: systemUnits({ program: PROGRAM, credential: true }),
};
