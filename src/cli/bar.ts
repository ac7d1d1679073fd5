import { escapeControls } from "../observe/escape.ts"
import type { Paint } from "./paint.ts"
import type { Quota } from "./shapes.ts"
import { duration } from "./when.ts"

const FULL = "█"
const EMPTY = "░"

/** From this share left downwards a bar is yellow, and red. */
const LOW = 25
const VERY_LOW = 5

/** A bar of `width` characters, filled to `percent`; anything but 0 and 100 shows as neither empty nor full. Pure. */
export function bar(percent: number, width: number): string {
  const share = Math.min(100, Math.max(0, Number.isFinite(percent) ? percent : 0))
  let filled = Math.round((share / 100) * width)
  if (share > 0) filled = Math.max(1, filled)
  if (share < 100) filled = Math.min(width - 1, filled)
  return FULL.repeat(filled) + EMPTY.repeat(width - filled)
}

/** `5h ██████░░  72 %  2 h 10 min`: what is left of a quota window, and when it is reset. One that was reset since is full. Pure. */
export function quotaLine(quota: Quota, now: number, paint: Paint, label: string): string {
  const over = quota.resetsAt !== null && quota.resetsAt <= now
  const left = over ? 100 : Math.min(100, Math.max(0, 100 - quota.usedPercent))
  const drawn = bar(left, 8)
  const colored = left <= VERY_LOW ? paint.bad(drawn) : left <= LOW ? paint.warn(drawn) : paint.good(drawn)
  const shown = left > 0 && left < 1 ? "<1" : String(Math.floor(left))
  const reset = quota.resetsAt === null || over ? "" : paint.dim(`  ${duration(quota.resetsAt - now)}`)
  return `${label} ${colored} ${shown.padStart(3)} %${reset}`
}

/** Short name of a window: its length where it is known (`5h`, `7d`), else its own name; with the family where that tells more. */
export function quotaLabel(quota: Quota, families: number): string {
  const minutes = quota.windowMinutes
  const own = minutes === null || minutes <= 0 ? quota.name : span(minutes)
  return escapeControls(families > 1 ? `${quota.family} ${own}` : own)
}

function span(minutes: number): string {
  if (minutes % 1440 === 0) return `${minutes / 1440}d`
  if (minutes % 60 === 0) return `${minutes / 60}h`
  return `${Math.round(minutes)}m`
}
