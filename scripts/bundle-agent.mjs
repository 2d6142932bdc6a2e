/** Bundles the agent into one file for Node 24. Alone: `node scripts/bundle-agent.mjs OUTFILE` */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Writes `outfile` (ESM, no imports but Node's own) and resolves when it is there. */
export async function bundleAgent(outfile) {
  await build({
    entryPoints: [fileURLToPath(new URL('../src/agent/agent.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    legalComments: 'none',
    logLevel: 'warning',
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const outfile = process.argv[2]
  if (outfile === undefined) {
    console.error('usage: node scripts/bundle-agent.mjs OUTFILE')
    process.exit(2)
  }
  await bundleAgent(path.resolve(outfile))
}
