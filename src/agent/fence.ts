/** Keeps controllers that have lost their claim from doing harm: the highest token of each load balancer, on disk. */
import { Refusal } from './answer.ts'
import { readIfThere, writeWhole } from './files.ts'
import { Turn } from './turn.ts'

export class Fence {
  readonly #file: string
  readonly #turn = new Turn()
  #highest: Map<string, bigint> | null = null

  constructor(file: string) {
    this.#file = file
  }

  /** Resolves when the call that carries this header may go on; a higher token is on disk by then. A controller that
   *  sends none (a genuine one) is not fenced. */
  admit(header: string | undefined): Promise<void> {
    if (header === undefined) return Promise.resolve()
    return this.#turn.take(async () => {
      const [, load_balancer_id, text] = /^([\w-]{1,64}):(\d{1,30})$/.exec(header) ?? []
      if (load_balancer_id === undefined || text === undefined) {
        throw new Refusal(400, { message: 'Invalid token', details: 'it must be <load balancer id>:<number>' })
      }
      this.#highest ??= await this.#read()
      const token = BigInt(text)
      const highest = this.#highest.get(load_balancer_id)
      if (highest !== undefined && token < highest) {
        const details = `token ${token} of load balancer ${load_balancer_id} is older than ${highest}`
        throw new Refusal(409, { message: 'A newer controller is at work', details })
      }
      if (token === highest) return
      this.#highest.set(load_balancer_id, token)
      const record = Object.fromEntries([...this.#highest].map(([id, value]) => [id, String(value)]))
      await writeWhole(this.#file, JSON.stringify(record))
    })
  }

  async #read(): Promise<Map<string, bigint>> {
    const record = JSON.parse((await readIfThere(this.#file)) ?? '{}') as Record<string, string>
    return new Map(Object.entries(record).map(([id, value]) => [id, BigInt(value)]))
  }
}
