/** Changes of a JSON text named by path, and where they fall in its bytes. */
import {
  type Edit,
  elementsOf,
  isArrayAt,
  isObjectAt,
  type Member,
  membersOf,
  removals,
  type Span,
  spanOf,
} from "./json.ts"

/** Keys and indices from the root. */
export type Path = readonly (string | number)[]

export type Change =
  /** The member or element goes. */
  | { readonly path: Path; readonly op: "remove" }
  /** The member's key is spelled differently. */
  | { readonly path: Path; readonly op: "rename"; readonly key: string }
  /** The value becomes this JSON text. */
  | { readonly path: Path; readonly op: "replace"; readonly json: string }
  /** A first member (JSON text `"key":value`) for the object at the path. */
  | { readonly path: Path; readonly op: "insert"; readonly member: string }

interface Node {
  readonly changes: Change[]
  readonly children: Map<string | number, Node>
}

const node = (): Node => ({ changes: [], children: new Map() })

/**
 * The edits of `changes` in the bytes of the value at `at`. One pass per level, however many changes. Of members with the same
 * key the last one is meant, which is the one that `JSON.parse` gives. A path that leads nowhere changes nothing.
 */
export function locate(bytes: Uint8Array, at: number, changes: readonly Change[]): Edit[] {
  const root = node()
  for (const change of changes) {
    let place = root
    for (const step of change.path) {
      let next = place.children.get(step)
      if (next === undefined) {
        next = node()
        place.children.set(step, next)
      }
      place = next
    }
    place.changes.push(change)
  }
  const edits: Edit[] = []
  visit(bytes, at, root, edits)
  return edits
}

function visit(bytes: Uint8Array, at: number, place: Node, edits: Edit[]): void {
  const members = isObjectAt(bytes, at) ? membersOf(bytes, at) : null
  const elements = members === null && isArrayAt(bytes, at) ? elementsOf(bytes, at) : null
  const gone = new Set<number>()
  for (const [step, child] of place.children) {
    const index = members === null ? Number(step) : members.findLastIndex((member) => member.key === step)
    const member = members?.[index]
    const value = member?.value ?? elements?.[index]
    if (value === undefined) continue
    if (child.changes.some((change) => change.op === "remove")) {
      // Every member of that key: one left over would mean what the removed one meant.
      if (members === null) gone.add(index)
      else for (const [i, other] of members.entries()) if (other.key === step) gone.add(i)
      continue
    }
    own(child, member, value, edits)
    if (!child.changes.some((change) => change.op === "replace")) visit(bytes, value.start, child, edits)
  }
  const items: readonly Span[] = members?.map(spanOf) ?? elements ?? []
  if (members !== null) insert(place, at, items.length > gone.size, edits)
  edits.push(...removals(items, gone))
}

function own(child: Node, member: Member | undefined, value: Span, edits: Edit[]): void {
  for (const change of child.changes) {
    if (change.op === "rename" && member !== undefined) edits.push({ ...member.name, text: JSON.stringify(change.key) })
    if (change.op === "replace") edits.push({ ...value, text: change.json })
  }
}

function insert(place: Node, at: number, followed: boolean, edits: Edit[]): void {
  const added = place.changes.flatMap((change) => (change.op === "insert" ? [change.member] : []))
  if (added.length === 0) return
  edits.push({ start: at + 1, end: at + 1, text: added.join(",") + (followed ? "," : "") })
}
