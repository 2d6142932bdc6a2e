/** Runs a program to its end and answers with what it printed. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Rejects with what the program complained about. */
export async function run(argv: string[]): Promise<string> {
  const { stdout } = await execute(argv[0]!, argv.slice(1))
  return stdout
}
