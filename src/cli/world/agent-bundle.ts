/** Bundles the agent into the one file that an amphora runs. */
import fs from 'node:fs'
import path from 'node:path'
import { repositoryDir } from '../state.ts'
import { run } from './shell.ts'

/** Writes the agent and all that it imports to `file`. */
export async function bundleAgent(file: string): Promise<void> {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  await run([process.execPath, path.join(repositoryDir, 'scripts/bundle-agent.mjs'), file])
}
