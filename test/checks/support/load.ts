/** A steady load: requests at a fixed rate, however long each takes. */
export interface Load {
  /** Ends it and waits for the answers; what was not as it should be, and how many there were. */
  stop(): Promise<{ readonly sent: number; readonly failures: readonly string[] }>
}

/** @param ask one request; gives null when it was served as it should be, else what was wrong */
export function startLoad(perSecond: number, ask: (number: number) => Promise<string | null>): Load {
  const failures: string[] = []
  const open = new Set<Promise<void>>()
  const began = performance.now()
  let sent = 0
  const send = () => {
    const due = Math.floor(((performance.now() - began) * perSecond) / 1000)
    for (; sent < due; sent++) {
      const one = ask(sent)
        .then((failure) => {
          if (failure !== null) failures.push(failure)
        })
        .catch((error: unknown) => {
          failures.push(String(error))
        })
        .finally(() => open.delete(one))
      open.add(one)
    }
  }
  const timer = setInterval(send, 5)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(open)
      return { sent, failures }
    },
  }
}
