/** Whole stacks, genuine clients, real traffic. Files that share one stack go one after another, since they would meet in it;
 *  so do files with stacks of their own. `npm test` runs the two kinds side by side (OTTAVIA_STACKS=shared, own). */
import fs from 'node:fs'
import path from 'node:path'
import { defineConfig } from 'vitest/config'

const kind = process.env.OTTAVIA_STACKS
const folder = path.join(import.meta.dirname, 'test/acceptance')
const sharing = fs
  .readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.test.ts') && fs.readFileSync(path.join(folder, name), 'utf8').includes('stack_dir'))
  .map(name => `test/acceptance/${name}`)

// biome-ignore lint/style/noDefaultExport: vitest reads the default export of its configuration.
export default defineConfig({
  test: {
    ...(kind === 'own' ? { exclude: sharing } : { globalSetup: 'test/acceptance/shared-stack.ts' }),
    include: kind === 'shared' ? sharing : ['test/acceptance/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
})
