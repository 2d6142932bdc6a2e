/** Steps and flows: a step ensures one thing, a flow is an ordered list of steps, a plan is what is left of flows. */
import type { Amphora } from '../lbaas/amphora.ts'
import { type Collection, collections, type Tree } from '../lbaas/tree.ts'

/** What a step learnt: fields to be written, by row. A null row is one that is to go, an unknown id one that is new. */
export type Facts = {
  load_balancer?: Partial<Tree['load_balancer']> | null
} & { [C in Collection | 'amphorae']?: Record<string, Partial<Tree[C][number]> | null> }

/** What a step may use. `clients` are the provider's own: the engine does not look at them. */
export type StepContext<Clients> = {
  clients: Clients
  /** Writes a line of the journal: what is being waited for, what was found. */
  say: (text: string) => void
  /** Aborts when the claim is lost or a newer intention makes the step pointless. */
  signal: AbortSignal
  /** Resolves after `wait_ms`, or rejects when the signal aborts. Waits are for conditions: look, then pause, then look. */
  pause: (wait_ms: number) => Promise<void>
  now: () => Date
}

/** Ensures one thing, for the whole tree or (subject) for one amphora. May be killed at any instruction and run again. */
export type Step<Clients> = {
  /** What it brings about, in the words of the journal and the documentation. */
  title: string
  /** The described system's name of it, for those who come from there. */
  upstream?: string
  /** How long one claim tries before the step is parked until its next try. */
  deadline_s: number
  /** Reads rows only, so that planning is pure and free. */
  done: (tree: Tree, amphora: Amphora | null) => boolean
  /** Asks the world whether what is recorded still holds, and answers with the facts that do not. Never in the hot path. */
  look?: (tree: Tree, amphora: Amphora | null, context: StepContext<Clients>) => Promise<Facts>
  ensure: (tree: Tree, amphora: Amphora | null, context: StepContext<Clients>) => Promise<Facts>
}

type Item<Clients> = { applies: (tree: Tree) => boolean } & (
  | { kind: 'step'; step: Step<Clients> }
  | { kind: 'each'; select: (tree: Tree) => Amphora[]; steps: Step<Clients>[] }
)

export type Flow<Clients> = {
  title: string
  items: Item<Clients>[]
  /** The load balancer serves without it, so it gives way to newer intentions, and its failing is not the load balancer's. */
  yields: boolean
}

/** A step that is left to do, for that amphora (null: for the tree). */
export type Due<Clients> = { step: Step<Clients>; amphora: Amphora | null; yields: boolean }

type Listed<Clients> = Step<Clients> | Item<Clients> | Item<Clients>[]

/** An ordered list: steps of the tree, and blocks of steps for each of some amphorae. */
export function flow<Clients>(title: string, items: Listed<Clients>[], { yields = false } = {}): Flow<Clients> {
  return { title, items: items.flatMap(asItems), yields }
}

/** Items that count only while the condition holds. */
export function when<Clients>(condition: (tree: Tree) => boolean, items: Listed<Clients>[]): Item<Clients>[] {
  return items.flatMap(asItems).map(item => ({ ...item, applies: tree => condition(tree) && item.applies(tree) }))
}

/** The steps for each selected amphora: one after another for one amphora, the amphorae side by side. */
export function each<Clients>(select: (tree: Tree) => Amphora[], steps: Step<Clients>[]): Item<Clients> {
  return { kind: 'each', select, steps, applies: () => true }
}

/** A step of the whole tree. */
export function treeStep<Clients>(step: {
  title: string
  upstream?: string
  deadline_s: number
  done: (tree: Tree) => boolean
  look?: (tree: Tree, context: StepContext<Clients>) => Promise<Facts>
  ensure: (tree: Tree, context: StepContext<Clients>) => Promise<Facts>
}): Step<Clients> {
  const { look, ensure, done, ...rest } = step
  return {
    ...rest,
    done: tree => done(tree),
    ...(look ? { look: (tree, _, context) => look(tree, context) } : {}),
    ensure: (tree, _, context) => ensure(tree, context),
  }
}

/** A step for one amphora; what it answers are fields of that amphora, null when its row is to go. */
export function amphoraStep<Clients>(step: {
  title: string
  upstream?: string
  deadline_s: number
  done: (amphora: Amphora, tree: Tree) => boolean
  look?: (amphora: Amphora, tree: Tree, context: StepContext<Clients>) => Promise<Partial<Amphora>>
  ensure: (amphora: Amphora, tree: Tree, context: StepContext<Clients>) => Promise<Partial<Amphora> | null>
}): Step<Clients> {
  const { look, ensure, done, ...rest } = step
  return {
    ...rest,
    done: (tree, amphora) => done(amphora!, tree),
    ...(look ? { look: async (tree, amphora, context) => factsOf(amphora!, await look(amphora!, tree, context)) } : {}),
    ensure: async (tree, amphora, context) => factsOf(amphora!, await ensure(amphora!, tree, context)),
  }
}

/** A step for one amphora that learns something about other rows too. */
export function amphoraLane<Clients>(
  step: Omit<Parameters<typeof amphoraStep<Clients>>[0], 'ensure' | 'look'> & {
    ensure: (amphora: Amphora, tree: Tree, context: StepContext<Clients>) => Promise<Facts>
  },
): Step<Clients> {
  const { ensure, done, ...rest } = step
  return {
    ...rest,
    done: (tree, amphora) => done(amphora!, tree),
    ensure: (tree, amphora, context) => ensure(amphora!, tree, context),
  }
}

/** The flow without one of its steps. */
export function without<Clients>(flow: Flow<Clients>, unwanted: Step<Clients>): Flow<Clients> {
  const items = flow.items.filter(item => item.kind === 'each' || item.step.title !== unwanted.title)
  return { ...flow, items }
}

/** What is left of the flows, in order. Blocks for amphorae that are still to come appear once, without an amphora; the
 *  step that makes the rows stands before them. */
export function plan<Clients>(flows: Flow<Clients>[], tree: Tree): Due<Clients>[] {
  return flows.flatMap(flow => flow.items.flatMap(item => dueOf(flow, item, tree)))
}

/** What can be done now: of a flow's first item that has something left, one step for each of its lanes. What is parked
 *  waits for its next try, and everything behind it in its flow waits with it. */
export function nextDue<Clients>(
  flows: Flow<Clients>[],
  tree: Tree,
  parked: (due: Due<Clients>) => boolean,
): Due<Clients>[] {
  for (const { items, yields } of flows) {
    for (const item of items) {
      const due = lanesOf(item, tree).flatMap(({ steps, amphora }) => {
        const step = steps.find(s => !s.done(tree, amphora))
        return step ? [{ step, amphora, yields }] : []
      })
      if (due.length === 0) continue
      const free = due.filter(d => !parked(d))
      if (free.length > 0) return free
      break
    }
  }
  return []
}

/** Every step with something to look at, for the amphorae that are there: the audit's list. */
export function recorded<Clients>(flows: Flow<Clients>[], tree: Tree): Due<Clients>[] {
  return flows
    .flatMap(({ items, yields }) =>
      items.flatMap(item =>
        lanesOf(item, tree).flatMap(({ steps, amphora }) => steps.map(step => ({ step, amphora, yields }))),
      ),
    )
    .filter(({ step, amphora }) => step.look && step.done(tree, amphora))
}

/** The facts that turn one tree into the other: changed fields of rows, and rows that are gone. */
export function difference(before: Tree, after: Tree | null): Facts {
  if (after === null) return { load_balancer: null }
  const facts: Facts = {}
  const root = changedFields(before.load_balancer, after.load_balancer)
  if (root) facts.load_balancer = root
  for (const kind of [...Object.values(collections), 'amphorae'] as const) {
    const entries = before[kind].flatMap((row): [string, object | null][] => {
      const next = after[kind].find(one => one.id === row.id)
      const fields = next ? changedFields<object>(row, next) : null
      return !next ? [[row.id, null]] : fields ? [[row.id, fields]] : []
    })
    if (entries.length > 0) facts[kind] = Object.fromEntries(entries)
  }
  return facts
}

function changedFields<R extends object>(before: R, after: R): Partial<R> | null {
  const changed = Object.entries(after).filter(([key, value]) => !same(before[key as keyof R], value))
  return changed.length === 0 ? null : (Object.fromEntries(changed) as Partial<R>)
}

/** By content; the order of an object's keys is PostgreSQL's business. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  const keys = Object.keys(a)
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keys.length === Object.keys(b).length &&
    keys.every(key => same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  )
}

function asItems<Clients>(listed: Listed<Clients>): Item<Clients>[] {
  if (Array.isArray(listed)) return listed
  return ['kind' in listed ? listed : { kind: 'step', step: listed, applies: () => true }]
}

type Lane<Clients> = { steps: Step<Clients>[]; amphora: Amphora | null }

function lanesOf<Clients>(item: Item<Clients>, tree: Tree): Lane<Clients>[] {
  if (!item.applies(tree)) return []
  if (item.kind === 'step') return [{ steps: [item.step], amphora: null }]
  return item.select(tree).map(amphora => ({ steps: item.steps, amphora }))
}

function dueOf<Clients>({ yields }: Flow<Clients>, item: Item<Clients>, tree: Tree): Due<Clients>[] {
  const to_come = item.kind === 'each' && item.applies(tree) && tree.amphorae.length === 0
  const lanes = to_come ? [{ steps: item.steps, amphora: null }] : lanesOf(item, tree)
  return lanes.flatMap(({ steps, amphora }) =>
    steps.filter(step => to_come || !step.done(tree, amphora)).map(step => ({ step, amphora, yields })),
  )
}

function factsOf(amphora: Amphora, fields: Partial<Amphora> | null): Facts {
  return fields !== null && Object.keys(fields).length === 0 ? {} : { amphorae: { [amphora.id]: fields } }
}
