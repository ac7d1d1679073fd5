/** What can be made to go wrong, as data. A fault is queued for one account (or for all) and spent by one request. */

export type Fault =
  /** An answer before any event. `body` text is sent as it is, anything else as JSON. */
  | {
      readonly kind: "status"
      readonly status: number
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
    }
  /** Cloudflare's challenge page. */
  | { readonly kind: "cloudflare" }
  /** 429 usage_limit_reached. `resetsAt` in seconds since the epoch; null leaves every time out of the body. */
  | { readonly kind: "usage_limit"; readonly resetsAt: number | null; readonly planType?: string }
  /** An error event inside a 200: after the handshake events, or after the first content (`afterContent`). */
  | {
      readonly kind: "event"
      readonly code: string
      readonly message?: string
      readonly shape?: "response.failed" | "error"
      readonly afterContent?: boolean
      readonly extra?: Readonly<Record<string, unknown>>
    }
  /** The answer ends after so many events: `close` is a clean end, `reset` kills the connection, `stall` says nothing more. */
  | { readonly kind: "cut"; readonly afterEvents: number; readonly how: "close" | "reset" | "stall" }
  /** No answer at all: the connection dies, or stays silent. */
  | { readonly kind: "no_answer"; readonly how: "reset" | "stall" }
  /** The whole answer, in pieces of so many bytes. */
  | { readonly kind: "chunks"; readonly size: number }
  /** The whole answer, so many milliseconds late. */
  | { readonly kind: "delay"; readonly ms: number }
  /** The answer ends in response.incomplete. */
  | { readonly kind: "incomplete"; readonly reason: "max_output_tokens" | "content_filter" }
  /** These bytes, as a 200 event stream. */
  | { readonly kind: "raw"; readonly body: string; readonly contentType?: string }

/** What can go wrong at the token endpoint. */
export type TokenFault =
  | {
      readonly kind: "status"
      readonly status: number
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
    }
  /** The connection dies before the token is looked at: it is not spent. */
  | { readonly kind: "drop_before" }
  /** The token is rotated, then the connection dies: only the issuer knows the new one. */
  | { readonly kind: "drop_after" }
  /** The token is rotated and the answer held back until `release` resolves. */
  | { readonly kind: "hold"; readonly release: Promise<void> }
  | { readonly kind: "delay"; readonly ms: number }
  /** Answer fields left out or replaced; null leaves one out. */
  | { readonly kind: "fields"; readonly fields: Readonly<Record<string, unknown>> }

export const CLOUDFLARE_PAGE = `<!DOCTYPE html>
<html lang="en-US"><head><title>Just a moment...</title></head>
<body><div class="main-wrapper"><h1>chatgpt.com</h1>
<script>(function(){window._cf_chl_opt={cvId:'3',cZone:'chatgpt.com',cType:'managed'};
var a=document.createElement('script');a.src='/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1';
document.getElementsByTagName('head')[0].appendChild(a);}());</script></div></body></html>`

export const CLOUDFLARE_HEADERS = {
  "content-type": "text/html; charset=UTF-8",
  "cf-mitigated": "challenge",
  "cf-ray": "8f0fake0-FRA",
  server: "cloudflare",
} as const

export function usageLimitBody(
  resetsAt: number | null,
  planType: string,
  nowSeconds: number,
): { error: Record<string, unknown> } {
  return {
    error: {
      type: "usage_limit_reached",
      message: "The usage limit has been reached",
      plan_type: planType,
      ...(resetsAt === null ? {} : { resets_at: resetsAt, resets_in_seconds: Math.max(0, resetsAt - nowSeconds) }),
    },
  }
}
