/** `ottavia rollout`: a new image for every amphora, without an interruption; begins, pauses or goes on, and watches. */
import pg from 'pg'
import { loadOptions } from '../../service/options.ts'
import * as rollouts from '../../store/rollouts.ts'
import { State } from '../state.ts'
import { askControl } from '../world/control.ts'

export type RolloutRequest = { image: string | null; batch: number | null; pause: boolean; watch: boolean }
export type RolloutReport = {
  image_tag: string
  paused: boolean
  failed: string | null
  ended: boolean
  load_balancers: number
  /** How many of them have amphorae of another image still, or are just being replaced. */
  left: number
}

/** Where the rows are: in the stack of that state folder, or in the database of a configuration file. */
export type RolloutPlace = { state: string; config: string | null }

/** Asks for it and follows it to its end, a line for each change; Ctrl-C ends the watching only. Answers with the exit
 *  status: 1 when the rollout has stopped. */
export async function rollout(place: RolloutPlace, request: Omit<RolloutRequest, 'watch'>): Promise<number> {
  let told = ''
  for (let watch = false; ; watch = true) {
    const report = await ask(place, { ...request, watch })
    const text = textOf(report)
    if (text !== told) process.stdout.write(`${text}\n`)
    told = text
    if (report.failed !== null) return 1
    if (report.ended || report.paused) return 0
    await new Promise(resolve => setTimeout(resolve, 500))
  }
}

/** What the stack does for the command. */
export async function answerRollout(pool: pg.Pool, request: RolloutRequest): Promise<RolloutReport> {
  if (!request.watch) {
    if (request.pause) await rollouts.pause(pool)
    else await rollouts.begin(pool, request.image, request.batch)
  }
  const current = await rollouts.latest(pool)
  if (!current) throw new Error('there has been no rollout; begin one with: ottavia rollout --image TAG')
  const { image_tag, paused, failed, ended_at } = current
  const { all, left } = await rollouts.progress(pool, current)
  return { image_tag, paused, failed, ended: ended_at !== null, load_balancers: all, left }
}

async function ask({ state, config }: RolloutPlace, request: RolloutRequest): Promise<RolloutReport> {
  if (config === null) return askControl<RolloutReport>(new State(state), 'POST', '/rollout', request)
  const pool = new pg.Pool({ connectionString: loadOptions(config, process.env).database.connection, max: 1 })
  try {
    return await answerRollout(pool, request)
  } finally {
    await pool.end()
  }
}

function textOf({ image_tag, paused, failed, ended, load_balancers, left }: RolloutReport): string {
  const done = `${load_balancers - left} of ${load_balancers} load balancers have amphorae of image ${image_tag}`
  if (failed !== null) return `stopped: ${failed}\n${done}; mend it, then go on with: ottavia rollout`
  if (ended) return `done: ${done}`
  return paused ? `paused: ${done}; go on with: ottavia rollout` : done
}
