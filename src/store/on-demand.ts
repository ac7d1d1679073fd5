type Made<Makers> = { readonly [Name in keyof Makers]: Makers[Name] extends () => infer Value ? Value : never }

/**
 * An object whose members are made when they are first asked for. A prepared query costs some 0.3 milliseconds of a process that has
 * just begun, there are dozens, and a start needs a few of them.
 */
export function onDemand<Makers extends Readonly<Record<string, () => unknown>>>(makers: Makers): Made<Makers> {
  const members: PropertyDescriptorMap = {}
  for (const [name, make] of Object.entries(makers)) {
    members[name] = {
      configurable: true,
      enumerable: true,
      get() {
        const value = make()
        Object.defineProperty(this, name, { value })
        return value
      },
    }
  }
  return Object.create(null, members)
}

/** What `make` gives, made when it is first asked for. */
export function once<Value extends object>(make: () => Value): () => Value {
  let made: Value | null = null
  return () => (made ??= make())
}
