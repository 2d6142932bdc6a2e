/** Secrets as a type of their own: they cannot be printed by mistake. */

/** A value that must not be seen. Only `reveal()` shows it; logs, JSON and string templates get ***. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '***'
  }

  toJSON(): string {
    return '***'
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '***'
  }
}
