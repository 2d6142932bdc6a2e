/** What becomes of an error in a step: tried again at once, parked until later, or an assertion that failed. */

/** Something that waiting and another try may mend; `text` is what an operator reads. */
export class Transient extends Error {
  /** Whether the call that failed may have made something nevertheless, now or a little later. */
  readonly unsure: boolean

  constructor(message: string, { unsure = false } = {}) {
    super(message)
    this.unsure = unsure
  }
}

/** Nothing is wrong, the step's time has just not come. */
export class Later extends Error {
  readonly until: Date

  constructor(until: Date, message: string) {
    super(message)
    this.until = until
  }
}

/** Something that trying again will hardly mend. `reason` is for the tenant in plain words, the message for the operator.
 *  `object_id` names the listener, pool or member whose fault it is; without one it is the load balancer's. */
export class Permanent extends Error {
  readonly reason: string
  readonly object_id: string | null

  constructor(reason: string, message: string, object_id: string | null = null) {
    super(message)
    this.reason = reason
    this.object_id = object_id
  }
}

export type Outcome =
  | { kind: 'transient'; text: string; unsure: boolean }
  | { kind: 'later'; text: string; until: Date }
  | { kind: 'permanent'; reason: string; text: string; object_id: string | null }
  | { kind: 'defect'; text: string; stack: string }

/** How each provider's clients say what went wrong: provided by the program that joins them. */
export type Classify = (error: unknown) => Transient | Permanent | null

/** Sorts an error that a step threw. What nobody classifies is a defect: it is shown with its stack, never swallowed. */
export function outcomeOf(error: unknown, classify: Classify): Outcome {
  if (error instanceof Later) return { kind: 'later', text: error.message, until: error.until }
  const known = error instanceof Transient || error instanceof Permanent ? error : classify(error)
  if (known instanceof Transient) return { kind: 'transient', text: known.message, unsure: known.unsure }
  if (known instanceof Permanent)
    return { kind: 'permanent', reason: known.reason, text: known.message, object_id: known.object_id }
  const defect = error instanceof Error ? error : new Error(String(error))
  return { kind: 'defect', text: defect.message, stack: defect.stack ?? defect.message }
}

/** When to try again after the n-th failure in a row: doubling with jitter. `random` is in [0, 1). */
export function backoff_ms(failures: number, first_ms: number, most_ms: number, random: number): number {
  return Math.min(most_ms, first_ms * 2 ** Math.min(failures - 1, 20)) * (0.5 + random / 2)
}
