/** The few pages that a person sees in a browser. Everything put into them is escaped; they run no script and load nothing. */

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1c2024;background:#f6f7f8}
main{max-width:32rem;margin:12vh auto;padding:2rem;background:#fff;border:1px solid #dfe3e6;border-radius:8px}
h1{font-size:1.25rem;margin:0 0 .75rem}p{margin:.5rem 0;overflow-wrap:anywhere}
label{display:block;margin:1rem 0 .25rem}
input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #b8bfc5;border-radius:6px}
button,a.button{font:inherit;display:inline-block;margin-top:1rem;padding:.5rem 1rem;border:0;border-radius:6px;
background:#1f5eff;color:#fff;text-decoration:none;cursor:pointer}
small{color:#687076}
@media(prefers-color-scheme:dark){body{color:#ecedee;background:#111314}main{background:#1a1d1e;border-color:#313538}
input{background:#111314;color:inherit;border-color:#4c5155}}`

const STYLE_HASH = new Bun.CryptoHasher("sha256").update(STYLE).digest("base64")

/** What every page is sent with. `form-action` allows the page's own origin only. */
const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
}

/** Text as HTML that means just this text, also inside an attribute in double quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

export interface Page {
  readonly status: number
  readonly title: string
  /** Paragraphs of plain text. */
  readonly lines: readonly string[]
  /** A form that posts to the page's own path. */
  readonly form?: { readonly hidden: Readonly<Record<string, string>>; readonly button: string }
  /** Where to go on. */
  readonly link?: { readonly href: string; readonly text: string }
}

export function page({ status, title, lines, form, link }: Page): Response {
  const parts = [`<h1>${escapeHtml(title)}</h1>`, ...lines.map((line) => `<p>${escapeHtml(line)}</p>`)]
  if (link !== undefined) {
    parts.push(`<p><a class="button" rel="noreferrer" href="${escapeHtml(link.href)}">${escapeHtml(link.text)}</a></p>`)
  }
  if (form !== undefined) {
    const hidden = Object.entries(form.hidden).map(
      ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
    )
    parts.push(
      `<form method="post">${hidden.join("")}<label for="key">Pollux key</label>`,
      `<input id="key" name="key" type="password" autocomplete="off" required autofocus>`,
      `<button>${escapeHtml(form.button)}</button></form>`,
    )
  }
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)} - Pollux</title><style>${STYLE}</style></head><body><main>${parts.join("\n")}</main></body></html>\n`
  return new Response(html, { status, headers: PAGE_HEADERS })
}
