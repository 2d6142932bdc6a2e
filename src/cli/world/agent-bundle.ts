/** Bundles the agent into the one file that an amphora runs. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { repositoryDir } from '../state.ts'
import { run } from './shell.ts'

/** Writes the agent and all that it imports to `file`; not again while its sources are the same. */
export async function bundleAgent(file: string): Promise<void> {
  const key = sourcesKey()
  const key_file = `${file}.key`
  if (fs.existsSync(file) && fs.existsSync(key_file) && fs.readFileSync(key_file, 'utf8') === key) return
  fs.mkdirSync(path.dirname(file), { recursive: true })
  await run([process.execPath, path.join(repositoryDir, 'scripts/bundle-agent.mjs'), file])
  fs.writeFileSync(key_file, key)
}

/** Over everything that the bundle may be made of. */
function sourcesKey(): string {
  const hash = createHash('sha256')
  for (const file of [
    'package-lock.json',
    'scripts/bundle-agent.mjs',
    ...sources('src/agent'),
    ...sources('src/amphora'),
    ...sources('src/service'),
  ])
    hash.update(file).update(fs.readFileSync(path.join(repositoryDir, file)))
  return hash.digest('hex')
}

function sources(folder: string): string[] {
  const names = fs.readdirSync(path.join(repositoryDir, folder), { recursive: true, encoding: 'utf8' })
  return names
    .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .sort()
    .map(name => path.join(folder, name))
}
