import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  escapeHtml,
  failurePage,
  questionPage,
  renderPage,
  signedInPage,
} from '../../../../src/lib/oauth/sign-in/page.ts';

const HOSTILE = `<script>alert(1)</script>"'&<img src=x onerror=alert(2)>`;

describe('the page after the redirect', () => {
  it('shows hostile text as text', () => {
    for (const content of [
      failurePage(HOSTILE, HOSTILE),
      signedInPage(HOSTILE, HOSTILE),
      questionPage(HOSTILE, HOSTILE),
    ]) {
      const { body } = renderPage(content);
      assert.doesNotMatch(body, /<script|<img|alert\(1\)<\/script/);
      assert.ok(body.includes('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;&lt;img'));
    }
  });

  it('leaves nothing that a parser could take for markup', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) =>
        assert.doesNotMatch(escapeHtml(text), /[<>"']|&(?!(amp|lt|gt|quot|#39);)/),
      ),
    );
  });

  it('forbids everything but its own style, and is not kept anywhere', () => {
    const { headers, status, body } = renderPage(failurePage('x'), 400);
    assert.equal(status, 400);
    assert.match(
      headers['content-security-policy']!,
      /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(headers['content-length'], String(Buffer.byteLength(body)));
    assert.doesNotMatch(body, /(?:src|href)=|url\(/);
  });
});
