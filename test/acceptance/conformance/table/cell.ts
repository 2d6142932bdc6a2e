/** A cell of the table: one call of one route, and all that must be true of its answer and of the tree after it. */
import { expect } from 'vitest'
import { eventually } from '../../stack.ts'
import type { Bed, Who } from './bed.ts'

export type Fields = Record<string, unknown>

export type Cell = {
  /** As the API's document has it, with the method first. What is asked is made from it, so it cannot say otherwise. */
  route: string
  does: string
  /** The project's member unless said otherwise. */
  as?: Who
  /** Other ids than those of the bed, by the part of the path before them. */
  at?: Record<string, string> | ((bed: Bed) => Record<string, string>)
  query?: string | ((bed: Bed) => string)
  body?: (bed: Bed) => unknown
  status: number
  /** The whole body. Without it there must be none. */
  answer?: (bed: Bed) => unknown
  /** What is refused says so in the dialect's own form. */
  refusal?: (bed: Bed) => Refusal
  /** Asked again until it is so: what amphorae report comes with their heartbeats. */
  patient?: true
  /** Under which name the bed keeps the id of what is made, if not its collection's. */
  keeps?: string
  /** What is pending right after the write, as long as nothing can be applied; all else is ACTIVE. In the end all is. */
  locks?: Readonly<Record<string, Pending>>
  /** Asked while the write cannot be applied yet. */
  meanwhile?: Cell[]
  /** What else is true in the end: who answers at the VIP, above all. */
  effect?: (bed: Bed, body: Fields) => Promise<void>
}

export type Pending = 'PENDING_CREATE' | 'PENDING_UPDATE' | 'PENDING_DELETE'

/** Octavia has a text; Neutron a type and a text. */
export type Refusal = { octavia?: Said; neutron?: readonly [type: string, message: Said] }
type Said = string | RegExp

/** The calls of a cell: its own, and those meanwhile. */
export function calls(cell: Cell): Cell[] {
  return [cell, ...(cell.meanwhile ?? [])]
}

export async function judge(bed: Bed, cell: Cell): Promise<void> {
  const { locks } = cell
  let body: Fields = {}
  if (locks === undefined) body = await judgeAnswer(bed, cell)
  else {
    await bed
      .unapplied(locks, async () => {
        body = await judgeAnswer(bed, cell)
        const statuses = await bed.statuses()
        const others = Object.keys(statuses).map(name => [name, 'ACTIVE'])
        expect(statuses).toEqual({ ...Object.fromEntries(others), ...locks })
        for (const inner of cell.meanwhile ?? []) await judgeAnswer(bed, inner)
      })
      .finally(() => bed.applied())
  }
  await cell.effect?.(bed, body)
}

async function judgeAnswer(bed: Bed, cell: Cell): Promise<Fields> {
  const { as = 'demo', status, body, patient } = cell
  const [method = '', template = ''] = cell.route.split(' ')
  const ids = { ...bed.ids, ...(typeof cell.at === 'function' ? cell.at(bed) : cell.at) }
  const path = template.replace(/([^/]+)\/\{\w+\}/g, (_, of: string) => {
    if (ids[of] === undefined) throw new Error(`${cell.route}: the bed has nothing of ${of}`)
    return `${of}/${encodeURIComponent(ids[of])}`
  })
  const query = typeof cell.query === 'function' ? cell.query(bed) : (cell.query ?? '')
  const ask = () => bed.ask(as, method, `${path}${query && `?${query}`}`, body?.(bed))
  const expected = { status, body: cell.refusal ? refused(bed, status, cell.refusal(bed)) : (cell.answer?.(bed) ?? '') }
  let answer = await ask()
  if (patient)
    await eventually(
      `${cell.route}: ${cell.does}`,
      async () => {
        answer = await ask()
        return fits(answer, expected)
      },
      60,
    ).catch(() => {}) // the comparison below says it better
  const found = (answer.body || {}) as Fields
  // whatever else is wrong with the answer, the cells that follow have their object
  if (answer.status < 300) bed.learn(method, template, found, cell.keeps)
  expect(answer).toEqual(expected)
  return found
}

function fits(answer: unknown, expected: unknown): boolean {
  try {
    expect(answer).toEqual(expected)
    return true
  } catch {
    return false
  }
}

function refused({ dialect }: Bed, status: number, refusal: Refusal): unknown {
  const saying = (text: Said) => (typeof text === 'string' ? text : expect.stringMatching(text))
  if (dialect === 'octavia')
    return { faultcode: status < 500 ? 'Client' : 'Server', faultstring: saying(refusal.octavia!), debuginfo: null }
  const [type, message] = refusal.neutron!
  return { NeutronError: { type, message: saying(message), detail: '' } }
}
