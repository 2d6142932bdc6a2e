/** Work that must be done one at a time, in the order in which it was asked for. */

export class Turn {
  #last: Promise<unknown> = Promise.resolve()

  /** Begins when everything before it has ended, well or badly. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work)
    this.#last = mine.catch(() => {})
    return mine
  }
}
