/** `ottavia agent`: the program inside an amphora, from the checkout instead of an image. */
import { spawn } from 'node:child_process'
import path from 'node:path'
import { repositoryDir } from '../state.ts'

/** Resolves with the agent's exit status. */
export function runAgent(config: string): Promise<number> {
  const argv = [path.join(repositoryDir, 'src/agent/agent.ts'), '--config', config]
  const agent = spawn(process.execPath, argv, { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => agent.kill(signal))
  return new Promise((resolve, reject) => {
    agent.once('error', reject)
    agent.once('exit', code => resolve(code ?? 1))
  })
}
