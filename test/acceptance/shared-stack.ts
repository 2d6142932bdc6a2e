/** One stack for all acceptance tests that do not need one of their own. */
import type { TestProject } from 'vitest/node'
import { Stack } from './stack.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    stack_dir: string
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = new Stack()
  await stack.up()
  project.provide('stack_dir', stack.dir)
  return () => stack.remove()
}
