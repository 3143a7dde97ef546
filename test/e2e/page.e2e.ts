/** The page after the redirect, in a real browser. CMS_TEST_SCREENSHOTS names a folder for pictures of it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { signInWithChromium, withPage } from '../support/chromium.ts';
import { spawnCms } from '../support/environment.ts';
import type { RunningProcess } from '../support/processes.ts';
import { requires } from '../support/requirements.ts';
import { startWorld, type World } from '../support/world.ts';

const JANE = 'jane@example.org';
const HOSTILE = `<script>document.title='pwned'</script><img src=x onerror="document.title='pwned'">`;

describe('the page that ends a sign-in', function () {
  this.timeout(60_000);
  requires(this, 'chromium');
  let world: World;

  before(async () => {
    world = await startWorld();
  });

  after(() => world[Symbol.asyncDispose]());

  async function startAdd(): Promise<{ adding: RunningProcess; url: URL }> {
    const argv = ['account', 'add', JANE, ...world.serverFlags, '--no-browser', '--no-test'];
    const adding = spawnCms(argv, { env: world.env });
    const [, url] = await adding.waitFor(/^(http:\/\/127\.0\.0\.1:\d+\/auth\?\S+)$/m, { stream: 'stderr' });
    return { adding, url: new URL(url!) };
  }

  /** Where the browser would be sent, with `parameters` as the answer. */
  function callback(url: URL, parameters: Record<string, string>): string {
    const target = new URL(url.searchParams.get('redirect_uri')!);
    const state = url.searchParams.get('state')!;
    target.search = new URLSearchParams({ state, iss: world.provider.issuer, ...parameters }).toString();
    return target.href;
  }

  /** Nothing wider than the window, and pictures for those who want to look. */
  async function lookAt(page: Page, name: string): Promise<void> {
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [320, 1000]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 600 });
        const overflow = await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        assert.equal(overflow, 0, `${name} at ${width}`);
        const folder = process.env.CMS_TEST_SCREENSHOTS;
        if (folder) await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`) });
      }
    }
  }

  it('says who signed in', async () => {
    const { adding, url } = await startAdd();
    await withPage(async (page) => {
      const { status, body } = await signInWithChromium(page, url.href, { login: JANE });
      assert.equal(status, 200);
      assert.match(body, /Signed in as jane@example\.org/);
      assert.match(body, /You can close this tab/);
      assert.equal(await page.title(), 'Signed in as jane@example.org · cms');
      await lookAt(page, 'success');
    });
    assert.equal((await adding.exited).status, 0);
  });

  it('shows what a provider says as text, runs no script and loads nothing', async () => {
    const { adding, url } = await startAdd();
    await withPage(async (page) => {
      const answered: string[] = [];
      page.on('response', (each) => answered.push(each.url()));
      const target = callback(url, { error: 'access_denied', error_description: HOSTILE });
      const response = await page.goto(target);
      assert.equal(response?.status(), 400);
      assert.match(await page.innerText('body'), /<script>document\.title='pwned'<\/script><img src=x/);
      assert.equal(await page.title(), 'Not signed in · cms');
      assert.equal(await page.locator('main script, main img').count(), 0);
      await page.evaluate(
        `document.body.append(Object.assign(document.createElement('script'), { textContent: 'document.title = "pwned"' }))`,
      );
      await page.evaluate(`document.body.append(Object.assign(document.createElement('img'), { src: '/image' }))`);
      assert.equal(await page.title(), 'Not signed in · cms');
      assert.equal(await page.evaluate(`getComputedStyle(document.querySelector('main')).borderTopStyle`), 'solid');
      await page.waitForTimeout(100);
      assert.deepEqual(answered, [target]);
      await lookAt(page, 'failure');
    });
    assert.equal((await adding.exited).status, 77);
    assert.match(adding.stderr, /access_denied/);
  });

  it('of a person who was not expected names both, and the command that mends it', async () => {
    const { adding, url } = await startAdd();
    await withPage(async (page) => {
      const { body } = await signInWithChromium(page, url.href, {
        login: 'a-very-long-name.of-somebody-else@department.example.com',
      });
      assert.match(body, /signed in, not jane@example\.org/);
      assert.match(body, /cms account add jane@example\.org/);
      await lookAt(page, 'mismatch');
    });
    assert.equal((await adding.exited).status, 77);
  });

  it('is refused to a stranger without ending the sign-in', async () => {
    const { adding, url } = await startAdd();
    await withPage(async (page) => {
      const response = await page.goto(callback(url, { code: 'x', state: 'not this one' }));
      assert.equal(response?.status(), 403);
      await lookAt(page, 'refused');
      await signInWithChromium(page, url.href, { login: JANE });
    });
    assert.equal((await adding.exited).status, 0);
  });
});
