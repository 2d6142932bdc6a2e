/** The runner: retries, failures with their reasons, what is parked, what a deletion overtakes, what a lost claim forbids. */
import { describe, expect, test } from 'vitest'
import { sampleTree } from '../lbaas/sample.ts'
import type { Tree } from '../lbaas/tree.ts'
import { type Facts, flow, type Step, treeStep } from './flow.ts'
import { Permanent, Transient } from './outcome.ts'
import { type JournalLine, type Ledger, reconcile } from './reconcile.ts'
import { withFacts } from './with-facts.ts'

type Ensure = (
  tree: Tree,
  context: { signal: AbortSignal; pause: (wait_ms: number) => Promise<void> },
) => Promise<Facts>

function rig(ensures: Record<string, Ensure>, clock_step_ms = 10) {
  const lines: JournalLine[] = []
  const state = { tree: sampleTree() as Tree | null, leaving: false }
  const done = new Set<string>()
  const steps = Object.entries(ensures).map(
    ([title, ensure]): Step<null> =>
      treeStep<null>({
        title,
        deadline_s: 1,
        done: () => done.has(title),
        ensure: async (tree, context) => {
          const facts = await ensure(tree, context)
          done.add(title)
          return facts
        },
      }),
  )
  const ledger: Ledger = {
    token: 1n,
    load: async () => state.tree,
    record: async (before, facts) => {
      if (state.tree) state.tree = withFacts(state.tree, before, facts)
    },
    write: async line => void lines.push(line),
    news: async () => ({ leaving: state.leaving, generation: 1, doomed: [] }),
  }
  let now_ms = 0
  const controller = new AbortController()
  const around = {
    signal: controller.signal,
    late_effect_s: 60,
    now: () => {
      now_ms += clock_step_ms
      return new Date(now_ms)
    },
    random: () => 0,
    pause: (_wait_ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        setImmediate(resolve)
      }),
  }
  const provider = { name: 'test', due: () => [flow('test', steps)], clients: () => null, classify: () => null }
  return {
    run: () => reconcile(provider, ledger, around, { look: false, unfinished: false }),
    lines,
    state,
    controller,
  }
}

describe('the runner', () => {
  test('runs step after step until nothing is left', async () => {
    const order: string[] = []
    const notes = (title: string) => async () => {
      order.push(title)
      return {}
    }
    const { run, lines } = rig({ a: notes('a'), b: notes('b') })
    expect(await run()).toEqual({ kind: 'settled' })
    expect(order).toEqual(['a', 'b'])
    expect(lines.map(line => `${line.step} ${line.kind}`)).toEqual(['a done', 'b done'])
  })

  test('waits out what waiting may mend, and says so once', async () => {
    let tries = 0
    const { run, lines } = rig({
      a: async () => {
        if (++tries < 4) throw new Transient('waiting for the cloud')
        return {}
      },
    })
    expect(await run()).toEqual({ kind: 'settled' })
    expect(lines.map(line => line.kind)).toEqual(['waiting', 'done'])
  })

  test('parks a step at its deadline, leaves the status and says what it waits for', async () => {
    const { run, state } = rig(
      {
        a: async () => {
          throw new Transient('waiting for the cloud')
        },
      },
      400,
    )
    const status = state.tree!.load_balancer.provisioning_status
    expect(await run()).toEqual({ kind: 'parked', soon: true })
    expect(state.tree!.load_balancer).toMatchObject({ provisioning_status: status, reason: 'waiting for the cloud' })
  })

  test('a step that waits for what never comes is parked at its deadline as well', async () => {
    const { run, lines, state } = rig({
      a: async (_, { pause }) => {
        for (;;) await pause(100)
      },
    })
    expect(await run()).toEqual({ kind: 'parked', soon: true })
    expect(lines.map(line => line.kind)).toEqual(['failed'])
    expect(state.tree?.load_balancer.reason).toBe('what it waits for has not come about')
  })

  test('a failure that waiting does not mend puts the load balancer in ERROR; what stands behind it does not run', async () => {
    let ran = false
    const { run, state } = rig({
      a: async () => {
        throw new Permanent('A quota of the cloud has been met.', 'Nova: quota')
      },
      b: async () => {
        ran = true
        return {}
      },
    })
    expect(await run()).toEqual({ kind: 'parked', soon: false })
    expect(state.tree!.load_balancer).toMatchObject({
      provisioning_status: 'ERROR',
      reason: 'A quota of the cloud has been met.',
    })
    expect(ran).toBe(false)
  })

  test('a listener’s own fault is the listener’s: the rest goes on', async () => {
    let refused = false
    const { run, state } = rig({
      a: async tree => {
        if (refused) return {}
        refused = true
        throw new Permanent('haproxy refused it', 'words', tree.listeners[0]!.id)
      },
      b: async () => ({}),
    })
    expect(await run()).toEqual({ kind: 'settled' })
    expect(state.tree!.listeners[0]).toMatchObject({ provisioning_status: 'ERROR', reason: 'haproxy refused it' })
    expect(state.tree!.load_balancer.provisioning_status).not.toBe('ERROR')
  })

  test('what nobody classifies is a defect: shown with its stack', async () => {
    const { run, lines, state } = rig({
      a: async () => {
        throw new TypeError('x is not a function')
      },
    })
    expect(await run()).toEqual({ kind: 'parked', soon: false })
    expect(lines.at(-1)!.text).toMatch(/TypeError: x is not a function\n\s+at /)
    expect(state.tree!.load_balancer.reason).toContain('internal error')
  })

  test('a deletion overtakes a step that waits', async () => {
    let aborted = false
    const { run, state } = rig({
      a: async (_tree, { signal }) => {
        if (aborted) return {}
        state.leaving = true
        await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()))
        aborted = true
        throw signal.reason
      },
    })
    expect(await run()).toEqual({ kind: 'settled' })
    expect(aborted).toBe(true)
  })

  test('with the claim nothing more is written', async () => {
    const { run, lines, controller } = rig({
      a: async () => {
        controller.abort(new Error('the claim is lost'))
        throw new Transient('reset')
      },
    })
    await expect(run()).rejects.toThrow('the claim is lost')
    expect(lines).toEqual([])
  })
})
