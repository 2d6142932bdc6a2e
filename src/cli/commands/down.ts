/** `ottavia down`: ends the running stack in order. */
import { State } from '../state.ts'
import { askControl, NotRunning } from '../world/control.ts'

/** Resolves when the stack is gone. That none runs is no error: the wish is fulfilled. */
export async function down(dir: string): Promise<void> {
  const state = new State(dir)
  try {
    await askControl(state, 'POST', '/stop')
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error
    process.stdout.write(`no ottavia runs on ${state.dir}\n`)
    return
  }
  const deadline_ms = Date.now() + 40_000
  const pid = state.worldPid()
  while (pid !== null && alive(pid)) {
    if (Date.now() > deadline_ms) throw new Error(`the stack (process ${pid}) did not end within 40 s`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  process.stdout.write('ottavia has ended; its state is kept\n')
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
