import assert from 'node:assert/strict';
import { chooseFlow, type FlowSituation } from '../../../src/lib/enrol/flow.ts';
import { PRESETS } from '../../../src/lib/providers/table.ts';
import { provider } from './preset.ts';

const desktop: FlowSituation = { env: { DISPLAY: ':0' }, platform: 'linux', noBrowser: false, hasDeviceEndpoint: true };

describe('the way to sign in', () => {
  for (const [what, change, expected] of [
    ['a desktop', {}, 'browser'],
    ['Wayland', { env: { WAYLAND_DISPLAY: 'wayland-0' } }, 'browser'],
    ['Wayland beside an empty display', { env: { DISPLAY: '', WAYLAND_DISPLAY: 'wayland-0' } }, 'browser'],
    ['a browser that was named, even over SSH', { env: { BROWSER: 'lynx', SSH_TTY: '/dev/pts/0' } }, 'browser'],
    ['SSH with a forwarded display', { env: { DISPLAY: ':10', SSH_CONNECTION: 'a b' } }, 'device'],
    ['no display', { env: {} }, 'device'],
    ['an empty display', { env: { DISPLAY: '' } }, 'device'],
    ['no display and no device endpoint', { env: {}, hasDeviceEndpoint: false }, 'manual'],
    ['--no-browser', { env: {}, noBrowser: true }, 'browser'],
    ['macOS', { env: {}, platform: 'darwin' }, 'browser'],
    ['macOS over SSH', { env: { SSH_TTY: '/dev/ttys000' }, platform: 'darwin' }, 'device'],
    ['a wish', { wanted: 'manual' }, 'manual'],
  ] as const) {
    it(`is ${expected} with ${what}`, () => {
      assert.equal(chooseFlow(provider('custom'), { ...desktop, ...change }), expected);
    });
  }

  it('is refused as a device where the server has no such endpoint, or the provider no such flow', () => {
    const wish = { ...desktop, wanted: 'device' } as const;
    assert.throws(() => chooseFlow(provider('custom'), { ...wish, hasDeviceEndpoint: false }), {
      code: 'config_invalid',
      message: /no device flow/,
    });
    assert.throws(() => chooseFlow(provider('google'), wish), { code: 'config_invalid' });
  });

  for (const preset of PRESETS) {
    if (preset.oauth === 'none' || preset.flows.browser) continue;
    it(`is by hand at ${preset.name}, whatever there is, and no browser is waited for`, () => {
      assert.equal(chooseFlow(preset, desktop), 'manual');
      assert.equal(chooseFlow(preset, { ...desktop, noBrowser: true }), 'manual');
      assert.throws(
        () => chooseFlow(preset, { ...desktop, wanted: 'browser' }),
        (error: { code?: string; suggestions?: string[] }) =>
          error.code === 'config_invalid' && error.suggestions?.some((line) => line.includes('--flow manual')) === true,
      );
    });
  }
});
