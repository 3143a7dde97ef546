/** The person in front of a real browser: headless Chromium, driven through its own protocol. */
import { chromium } from 'playwright-core';
import type { Page } from 'playwright-core';
import type { Person, Visit } from './browser-person.mjs';

const EXECUTABLE = '/usr/bin/chromium';

/** No sandbox, since tests may run as root; no traffic of the browser's own. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Opens a page in a browser without history or cookies, and closes the browser afterwards. */
export async function withPage<Result>(work: (page: Page) => Promise<Result>): Promise<Result> {
  const browser = await chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS });
  try {
    return await work(await browser.newPage());
  } finally {
    await browser.close();
  }
}

/** Signs in and decides; returns when the page of the callback is shown, with its text as `body`. */
export async function signInWithChromium(page: Page, authorizationUrl: string, person: Person): Promise<Visit> {
  const provider = new URL(authorizationUrl).origin;
  await page.goto(authorizationUrl);
  await logIn(page, person);
  const left = page.waitForResponse(
    (response) => isOutside(response.url(), provider) && !isRedirect(response.status()),
  );
  await decide(page, person);
  const response = await left;
  await page.waitForLoadState();
  return { finalUrl: page.url(), status: response.status(), body: await page.innerText('body') };
}

/** Types the code, signs in, decides; returns the page that ends the device flow. */
export async function approveDeviceWithChromium(
  page: Page,
  verificationUri: string,
  userCode: string,
  person: Person,
): Promise<Visit> {
  const response = await page.goto(verificationUri);
  await page.fill('input[name=user_code]:visible', userCode);
  await page.click('button:has-text("Continue")');
  await page.locator('#op\\.deviceConfirmForm').waitFor({ state: 'attached' });
  await page.click('button:has-text("Continue")');
  await logIn(page, person);
  await decide(page, person);
  await page.waitForLoadState();
  return { finalUrl: page.url(), status: response?.status() ?? 0, body: await page.innerText('body') };
}

async function logIn(page: Page, { login, password = 'right' }: Person): Promise<void> {
  await page.fill('input[name=login]', login);
  await page.fill('input[name=password]', password);
  await page.click('button:has-text("Sign in")');
}

async function decide(page: Page, { consent = 'allow' }: Person): Promise<void> {
  await page.click(`button[name=consent][value=${consent}]`);
}

function isOutside(url: string, provider: string): boolean {
  return new URL(url).origin !== provider;
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}
