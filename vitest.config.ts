/** How `npm test` runs: unit tests beside the code, contract and acceptance tests under test/. */
import { defineConfig } from 'vitest/config'

// biome-ignore lint/style/noDefaultExport: vitest reads the default export of its configuration.
export default defineConfig({
  test: {
    globalSetup: 'test/global-setup.ts',
    include: ['src/**/*.test.ts', 'test/*.test.ts', 'test/contract/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 180_000,
    // much of their time goes by in waiting, for processes that they started
    maxWorkers: 3,
  },
})
