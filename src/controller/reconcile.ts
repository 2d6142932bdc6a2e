/** The runner: brings one claimed tree to where its plan is empty, step by step, and records what each step learnt. */
import { collections, type Tree } from '../lbaas/tree.ts'
import { type Due, type Facts, type Flow, nextDue, recorded, type StepContext } from './flow.ts'
import { backoff_ms, type Classify, type Outcome, outcomeOf, Transient } from './outcome.ts'

/** What a provider is to the engine: which flows are due for a tree, in order, and what its steps work with. */
export type Provider<Clients> = {
  name: string
  due: (tree: Tree) => Flow<Clients>[]
  /** Clients whose calls carry the claim's token where the other side understands it. They abort when the claim is lost;
   *  those that make nothing may abort with the step as well. */
  clients: (tree: Tree, token: bigint, signals: { claim: AbortSignal; step: AbortSignal }) => Clients
  classify: Classify
}

/** What the runner needs of the store for the one tree that it has claimed. Every write is refused once the claim is lost. */
export type Ledger = {
  token: bigint
  load: () => Promise<Tree | null>
  record: (before: Tree, facts: Facts) => Promise<void>
  /** A line of the journal; never fails the work. */
  write: (line: JournalLine) => Promise<void>
  /** What may have made a step pointless while it waits. */
  news: () => Promise<News>
}

/** How the tree stands by now: whether it is to go, its generation, and the amphorae that are to go. */
export type News = { leaving: boolean; generation: number; doomed: string[] }

export type JournalLine = {
  step: string
  amphora_id: string | null
  kind: 'done' | 'waiting' | 'said' | 'failed' | 'withdrawn'
  text: string
  generation: number
}

export type Surroundings = {
  signal: AbortSignal
  now: () => Date
  random: () => number
  pause: (wait_ms: number, signal: AbortSignal) => Promise<void>
  /** How long after a call without an answer its effect may still come. */
  late_effect_s: number
}

/** How the tree was found: `look` when the world is to be asked first, `unfinished` when another's work was cut short. */
export type Arrival = { look: boolean; unfinished: boolean }

/** How the work ended: nothing is left; the tree is gone; something is parked (and whether trying soon may help); or all
 *  that is left has a time of its own. */
export type Rest =
  | { kind: 'settled' }
  | { kind: 'gone' }
  | { kind: 'parked'; soon: boolean }
  | { kind: 'later'; until: Date }

/** Works until nothing is left or all that is left is parked. With `look`, first asks the world whether the recorded facts
 *  still hold: after a crash, for the audit, before a failover. Rejects when the claim is lost. */
export async function reconcile<Clients>(
  provider: Provider<Clients>,
  ledger: Ledger,
  around: Surroundings,
  arrival: Arrival,
): Promise<Rest> {
  const parked = new Map<string, Outcome>()
  if (arrival.unfinished) {
    const tree = await ledger.load()
    if (tree) await ledger.record(tree, lateEffects(around))
  }
  if (arrival.look) await lookAtWorld(provider, ledger, around)
  for (;;) {
    around.signal.throwIfAborted()
    const tree = await ledger.load()
    if (!tree) return { kind: 'gone' }
    const due = nextDue(provider.due(tree), tree, d => parked.has(keyOf(d)))
    if (due.length === 0) return restOf([...parked.values()])
    const outcomes = await Promise.all(due.map(d => runStep(provider, ledger, around, tree, d)))
    due.forEach((d, index) => {
      const outcome = outcomes[index]
      if (outcome) parked.set(keyOf(d), outcome)
    })
  }
}

function restOf(parked: Outcome[]): Rest {
  if (parked.length === 0) return { kind: 'settled' }
  const later = parked.flatMap(outcome => (outcome.kind === 'later' ? [outcome.until.getTime()] : []))
  if (later.length === parked.length) return { kind: 'later', until: new Date(Math.min(...later)) }
  return { kind: 'parked', soon: parked.some(outcome => outcome.kind === 'transient') }
}

/** From now on something may appear that nobody hears of. */
function lateEffects({ now, late_effect_s }: Surroundings): Facts {
  return { load_balancer: { late_effects_until: new Date(now().getTime() + late_effect_s * 1000).toISOString() } }
}

/** Runs one step until it has succeeded (null), or until trying on makes no sense now. */
async function runStep<Clients>(
  provider: Provider<Clients>,
  ledger: Ledger,
  around: Surroundings,
  tree: Tree,
  due: Due<Clients>,
): Promise<Outcome | null> {
  const { step, amphora } = due
  const generation = tree.load_balancer.generation
  const line = (kind: JournalLine['kind'], text: string) =>
    ledger.write({ step: step.title, amphora_id: amphora?.id ?? null, kind, text, generation })
  const begin_ms = around.now().getTime()
  const until_ms = begin_ms + step.deadline_s * 1000
  const superseded = new AbortController()
  const signal = AbortSignal.any([around.signal, superseded.signal])
  const stopWatching = watchForNews(ledger, around, tree, due, superseded)
  try {
    for (let failures = 0; ; ) {
      try {
        const context = contextOf(provider, ledger, around, tree, signal, text => void line('said', text), until_ms)
        const facts = await step.ensure(tree, amphora, context)
        await ledger.record(tree, facts)
        await line('done', `took ${((around.now().getTime() - begin_ms) / 1000).toFixed(2)} s`)
        return null
      } catch (error) {
        around.signal.throwIfAborted()
        if (superseded.signal.aborted) return null // plan again: there is something newer
        const outcome = outcomeOf(error, provider.classify)
        if (outcome.kind === 'later') {
          await line('waiting', outcome.text)
          return outcome
        }
        if (outcome.kind === 'transient' && outcome.unsure) await ledger.record(tree, lateEffects(around))
        failures++
        const elapsed_s = (around.now().getTime() - begin_ms) / 1000
        if (outcome.kind === 'transient' && elapsed_s < step.deadline_s) {
          if (failures === 1) await line('waiting', outcome.text)
          await around.pause(backoff_ms(failures, 50, 2_000, around.random()), signal).catch(() => {})
          continue
        }
        await line('failed', outcome.kind === 'defect' ? outcome.stack : outcome.text)
        await ledger.record(tree, factsOfFailure(tree, due, outcome))
        const objects = outcome.kind === 'permanent' && outcome.object_id !== null
        return objects ? null : outcome // an object in ERROR renders from its last good state: the plan goes on without it
      }
    }
  } finally {
    stopWatching()
  }
}

/** The object at fault (else the load balancer) with its reason. A transient failure changes no status: it is a delay.
 *  What fails beside a load balancer that serves is the amphora's failure. */
function factsOfFailure<Clients>(tree: Tree, due: Due<Clients>, outcome: Exclude<Outcome, { kind: 'later' }>): Facts {
  const reason =
    outcome.kind === 'transient'
      ? outcome.text
      : outcome.kind === 'permanent'
        ? outcome.reason
        : `internal error: ${outcome.text}`
  const { amphora, yields } = due
  if (yields && amphora && amphora.status !== 'PENDING_DELETE' && amphora.status !== 'DELETED')
    return { load_balancer: { reason }, amphorae: { [amphora.id]: { status: 'ERROR' } } }
  if (yields || outcome.kind === 'transient') return { load_balancer: { reason } }
  const failed = { provisioning_status: 'ERROR' as const, reason }
  const id = outcome.kind === 'permanent' ? outcome.object_id : null
  for (const kind of Object.values(collections))
    if (id !== null && tree[kind].some(object => object.id === id)) return { [kind]: { [id]: failed } }
  return tree.load_balancer.provisioning_status === 'PENDING_DELETE'
    ? { load_balancer: { reason } } // it is still to go; only the reason is new
    : { load_balancer: failed }
}

/** Asks every step that can look, and withdraws what no longer holds; the ordinary plan then repairs it. Whom we cannot
 *  ask may be as recorded: silence is the health side's business, and must not keep others from being served. */
async function lookAtWorld<Clients>(
  provider: Provider<Clients>,
  ledger: Ledger,
  around: Surroundings,
  mute = new Set<string>(),
): Promise<void> {
  const tree = await ledger.load()
  if (!tree) return
  const { generation } = tree.load_balancer
  for (const { step, amphora } of recorded(provider.due(tree), tree)) {
    around.signal.throwIfAborted()
    if (amphora && mute.has(amphora.id)) continue
    const patience = AbortSignal.timeout(look_patience_ms)
    const signal = AbortSignal.any([around.signal, patience])
    const line = (kind: JournalLine['kind'], text: string) =>
      ledger.write({ step: step.title, amphora_id: amphora?.id ?? null, kind, text, generation })
    const context = contextOf(provider, ledger, around, tree, signal, text => void line('said', text))
    const withdrawn = await step.look!(tree, amphora, context).catch(error => {
      around.signal.throwIfAborted()
      if (!patience.aborted && outcomeOf(error, provider.classify).kind !== 'transient') throw error
      if (amphora) mute.add(amphora.id)
      return {}
    })
    if (Object.keys(withdrawn).length === 0) continue
    await ledger.record(tree, withdrawn)
    await line('withdrawn', 'the world has it no more; it is brought about again')
    return lookAtWorld(provider, ledger, around, mute) // later facts may have hung on this one
  }
}

/** One who does not answer a question in this time is not asked further. */
const look_patience_ms = 3_000

function contextOf<Clients>(
  provider: Provider<Clients>,
  ledger: Ledger,
  around: Surroundings,
  tree: Tree,
  signal: AbortSignal,
  say: (text: string) => void,
  until_ms = Number.POSITIVE_INFINITY,
): StepContext<Clients> {
  const clients = provider.clients(tree, ledger.token, { claim: around.signal, step: signal })
  const pause = async (wait_ms: number) => {
    // a condition that never comes true would hold the claim for ever
    if (around.now().getTime() >= until_ms) throw new Transient('what it waits for has not come about')
    await around.pause(wait_ms, signal)
  }
  return { clients, say, signal, now: around.now, pause }
}

/** Aborts a step that has become pointless: the load balancer is to go, the step's amphora is, or (where the flow yields)
 *  there is a newer intention to be served first. Looks every second. */
function watchForNews<Clients>(
  ledger: Ledger,
  around: Surroundings,
  tree: Tree,
  due: Due<Clients>,
  superseded: AbortController,
): () => void {
  if (tree.load_balancer.provisioning_status === 'PENDING_DELETE') return () => {}
  const over = new AbortController()
  const living = due.amphora !== null && due.amphora.status !== 'PENDING_DELETE' && due.amphora.status !== 'DELETED'
  const watch = async () => {
    const signal = AbortSignal.any([over.signal, around.signal])
    while (!signal.aborted) {
      await around.pause(1_000, signal)
      const { leaving, doomed, generation } = await ledger.news()
      const overtaken = due.yields && generation > tree.load_balancer.generation
      if (leaving) return superseded.abort(new Error('the load balancer is to go'))
      if (living && doomed.includes(due.amphora!.id)) return superseded.abort(new Error('the amphora is to go'))
      if (overtaken) return superseded.abort(new Error('there is a newer change'))
    }
  }
  watch().catch(() => {}) // aborted, or the database is away for a moment: the step goes on
  return () => over.abort()
}

function keyOf<Clients>({ step, amphora }: Due<Clients>): string {
  return `${step.title}/${amphora?.id ?? ''}`
}
