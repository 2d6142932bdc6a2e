/** `ottavia status`: what runs. */
import { State } from '../state.ts'
import { welcome } from '../welcome.ts'
import { askControl, NotRunning } from '../world/control.ts'
import type { Status } from '../world/status.ts'

/** Prints the status; without a running stack it says so and the exit status is 3. */
export async function showStatus(dir: string, json: boolean): Promise<void> {
  const state = new State(dir)
  try {
    const status = await askControl<Status>(state, 'GET', '/status')
    process.stdout.write(json ? `${JSON.stringify(status, null, 2)}\n` : welcome(state, status))
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error
    process.exitCode = 3
    if (json)
      process.stdout.write(`${JSON.stringify({ ready: false, endpoints: {}, servers: [], load_balancers: [] })}\n`)
    else process.stdout.write(`${error.message}\n`)
  }
}
