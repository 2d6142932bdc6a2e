/** Bundles the agent into the one file that an amphora runs. */
import path from 'node:path'
import { build } from 'esbuild'
import { repositoryDir } from '../state.ts'

/** Writes the agent and all that it imports to `file`, an ES module for the pinned Node. */
export async function bundleAgent(file: string): Promise<void> {
  await build({
    entryPoints: [path.join(repositoryDir, 'src/agent/agent.ts')],
    outfile: file,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    // packages of the CommonJS kind ask for require
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'silent',
  })
}
