declare module 'proxy-from-env' {
  /** The proxy for a URL after the `*_PROXY` variables, empty for none (or where NO_PROXY says so). */
  export function getProxyForUrl(url: string): string;
}
