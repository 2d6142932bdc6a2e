/** Starts what all test files share: one real PostgreSQL. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { TestProject } from 'vitest/node'
import { startPostgres } from '../src/cli/embedded-postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgres_url: string
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-pg-'))
  const server = await startPostgres(path.join(dir, 'cluster'), path.join(dir, 's'))
  project.provide('postgres_url', server.url)
  return async () => {
    await server.stop()
    fs.rmSync(dir, { recursive: true, force: true })
  }
}
