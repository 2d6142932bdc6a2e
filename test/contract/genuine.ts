/** Genuine OpenStack clients, run on a pocket cloud. */
import { execFile } from 'node:child_process'
import os from 'node:os'
import { promisify } from 'node:util'
import { type PocketStack, passwords } from './pocket-stack.ts'

/** Runs a client as that user, with nothing of this machine's own settings. */
export async function genuine(stack: PocketStack, user: 'admin' | 'demo', argv: string[]): Promise<string> {
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: os.tmpdir(),
    LANG: 'C.UTF-8',
    PYTHONWARNINGS: 'ignore',
    OS_AUTH_URL: `${stack.endpoints.identity}/v3`,
    OS_USERNAME: user,
    OS_PASSWORD: passwords[user],
    OS_PROJECT_NAME: user,
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
    OS_IDENTITY_API_VERSION: '3',
    OS_REGION_NAME: 'RegionOne',
  }
  try {
    return (await run(`/usr/bin/${argv[0]}`, argv.slice(1), { env, timeout: 120_000 })).stdout
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${argv.join(' ')}: ${stderr || stdout}`)
  }
}

const run = promisify(execFile)
