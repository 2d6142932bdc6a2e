/** Whole stacks, genuine clients, real traffic: one file after another, since each needs the machine. */
import { defineConfig } from 'vitest/config'

// biome-ignore lint/style/noDefaultExport: vitest reads the default export of its configuration.
export default defineConfig({
  test: {
    globalSetup: 'test/acceptance/shared-stack.ts',
    include: ['test/acceptance/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
})
