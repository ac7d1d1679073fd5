import { parse } from "smol-toml"

/** Steps from the document's root: keys of tables and indexes of arrays. */
export type Path = readonly (string | number)[]

/** One-based; columns count UTF-16 code units, as smol-toml and most editors do. */
export interface Place {
  readonly line: number
  readonly column: number
}

interface Node {
  /** Offset of the key; of an array's item: of the item. */
  key: number
  /** Offset of the value; of a table made by a header: of the header. */
  value: number
  /** Offset behind the value; of a table made by a header: behind its header or its own last pair. */
  end: number
  /** Whether a header of its own, `[x]` or `[[x]]`, made it. */
  headed: boolean
  members: Map<string, Node>
  items: Node[]
}

interface KeyPart {
  readonly name: string
  readonly offset: number
}

function node(key: number, value: number): Node {
  return { key, value, end: value, headed: false, members: new Map(), items: [] }
}

/**
 * Finds where each key and value of a TOML document stands. smol-toml says so for syntax errors only; this walks a text that it has
 * accepted already, so it checks nothing and only skips what does not matter.
 */
class Finder {
  readonly root: Node
  private at: number

  constructor(private readonly text: string) {
    this.at = text.startsWith("\ufeff") ? 1 : 0
    this.root = node(this.at, this.at)
  }

  document(): Node {
    let table = this.root
    for (this.blank(); this.at < this.text.length; this.blank()) {
      const start = this.at
      if (this.text[start] === "[") table = this.header()
      else this.pair(table)
      if (this.at === start) this.at += 1
    }
    return this.root
  }

  /** `[a.b]` or `[[a.b]]`: the table that the following pairs belong to. */
  private header(): Node {
    const start = this.at
    const many = this.text[start + 1] === "["
    this.at += many ? 2 : 1
    const parts = this.keys("]")
    this.at += many ? 2 : 1
    const last = parts.pop()
    if (last === undefined) return this.root
    const parent = this.descend(this.root, parts, start)
    const named = this.member(parent, last, start)
    if (!many) {
      // An array of tables keeps its own place; a table that sub-tables made known first gets it from its own header.
      if (named.items.length > 0) return named.items.at(-1) ?? named
      named.key = last.offset
      named.value = start
      named.end = this.at
      named.headed = true
      return named
    }
    const item = node(last.offset, start)
    item.end = this.at
    item.headed = true
    named.items.push(item)
    return item
  }

  /** `key = value`, dotted or not, inside `table`. */
  private pair(table: Node): void {
    const parts = this.keys("=")
    this.at += 1
    this.blank()
    const last = parts.pop()
    if (last === undefined) return
    const target = this.member(this.descend(table, parts, null), last, null)
    target.value = this.at
    this.value(target)
    target.end = this.at
    while (target.end > target.value && /\s/.test(this.text[target.end - 1] ?? "")) target.end -= 1
    table.end = Math.max(table.end, target.end)
  }

  private descend(from: Node, parts: readonly KeyPart[], header: number | null): Node {
    let here = from
    for (const part of parts) {
      const next = this.member(here, part, header)
      here = next.items.at(-1) ?? next
    }
    return here
  }

  private member(table: Node, part: KeyPart, header: number | null): Node {
    const known = table.members.get(part.name)
    if (known !== undefined) return known
    const made = node(part.offset, header ?? part.offset)
    table.members.set(part.name, made)
    return made
  }

  private keys(end: "=" | "]"): KeyPart[] {
    const parts: KeyPart[] = []
    while (this.at < this.text.length) {
      const char = this.text[this.at]
      if (char === end || char === "\n") break
      if (char === " " || char === "\t" || char === ".") {
        this.at += 1
        continue
      }
      const offset = this.at
      if (char === '"' || char === "'") {
        this.string()
        parts.push({ name: unquote(this.text.slice(offset, this.at)), offset })
      } else {
        do this.at += 1
        while (this.at < this.text.length && !/[\s.=\]]/.test(this.text[this.at] ?? ""))
        parts.push({ name: this.text.slice(offset, this.at), offset })
      }
    }
    return parts
  }

  private value(into: Node): void {
    const char = this.text[this.at]
    if (char === '"' || char === "'") this.string()
    else if (char === "[") this.array(into)
    else if (char === "{") this.inlineTable(into)
    else while (this.at < this.text.length && !/[,\]}#\r\n]/.test(this.text[this.at] ?? "")) this.at += 1
  }

  private array(into: Node): void {
    this.at += 1
    for (this.blank(); this.at < this.text.length && this.text[this.at] !== "]"; this.blank()) {
      if (this.text[this.at] === ",") {
        this.at += 1
        continue
      }
      const start = this.at
      const item = node(start, start)
      into.items.push(item)
      this.value(item)
      if (this.at === start) this.at += 1
    }
    this.at += 1
  }

  private inlineTable(into: Node): void {
    this.at += 1
    for (this.blank(); this.at < this.text.length && this.text[this.at] !== "}"; this.blank()) {
      if (this.text[this.at] === ",") this.at += 1
      else this.pair(into)
    }
    this.at += 1
  }

  /** Skips a string in any of the four quotings. */
  private string(): void {
    const quote = this.text[this.at] ?? ""
    const long = this.text.startsWith(quote.repeat(3), this.at)
    const end = long ? quote.repeat(3) : quote
    this.at += end.length
    while (this.at < this.text.length && !this.text.startsWith(end, this.at)) {
      this.at += quote === '"' && this.text[this.at] === "\\" ? 2 : 1
    }
    this.at += end.length
    // Up to two quotes may stand right before the closing three (TOML 1.0, "String").
    for (let extra = 0; long && extra < 2 && this.text[this.at] === quote; extra++) this.at += 1
  }

  /** Skips white space, line ends and comments. */
  private blank(): void {
    for (;;) {
      while (/\s/.test(this.text[this.at] ?? "")) this.at += 1
      if (this.text[this.at] !== "#") return
      while (this.at < this.text.length && this.text[this.at] !== "\n") this.at += 1
    }
  }
}

/** The name that a quoted key stands for; what is no key, which only a refused text has, stands for itself. */
function unquote(quoted: string): string {
  try {
    const name = parse(`key = ${quoted}`).key
    return typeof name === "string" ? name : quoted
  } catch {
    return quoted
  }
}

/** Offsets in the text: from the key (of a table: from its header) to behind the value (of a table: behind its own last pair). */
export interface Span {
  readonly start: number
  readonly value: number
  readonly end: number
  /** Of a table that a header of its own made. */
  readonly headed: boolean
}

export interface Positions {
  /** Where the value at `path` begins; where there is none: that of the nearest table around it. */
  value(path: Path): Place
  /** Where the key at `path` begins, likewise. */
  key(path: Path): Place
  /** What is there at `path`, or null. */
  span(path: Path): Span | null
}

/** Positions in a TOML document that smol-toml has accepted. */
export function findPositions(text: string): Positions {
  const root = new Finder(text).document()
  const starts = [0]
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) starts.push(end + 1)

  function place(offset: number): Place {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
  }

  function find(path: Path): { readonly node: Node; readonly whole: boolean } {
    let here = root
    for (const step of path) {
      const next = typeof step === "number" ? here.items[step] : here.members.get(step)
      if (next === undefined) return { node: here, whole: false }
      here = next
    }
    return { node: here, whole: true }
  }

  return {
    value: (path) => place(find(path).node.value),
    key(path) {
      const found = find(path)
      return place(found.whole ? found.node.key : found.node.value)
    },
    span(path) {
      const { node, whole } = find(path)
      const { key, value, end, headed } = node
      return whole ? { start: headed ? value : key, value, end, headed } : null
    },
  }
}
