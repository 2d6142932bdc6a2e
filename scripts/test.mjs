/** `npm test`: installs what it needs, then everything that must hold; one closing line tells the sum. */
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { bootstrap } from './bootstrap.mjs'

const repository = path.resolve(path.dirname(new URL(import.meta.url).pathname), '..')
bootstrap('test')
const sum = { passed: 0, failed: 0 }
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-test-'))
const env = {
  ...process.env,
  // the pinned Node first, and the folders in which Debian keeps network programs
  PATH: `${path.join(repository, 'node_modules/.bin')}:${process.env.PATH}:/usr/sbin:/sbin`,
}

// what is asked to end ends as by Ctrl-C, with its stacks
const running = new Set()
for (const signal of ['SIGTERM', 'SIGHUP'])
  process.once(signal, () => {
    sum.failed++
    parts.length = 0
    for (const child of running) child.kill('SIGINT')
  })

// much of the time of a stack goes by in waiting: two at once
const config = 'vitest.acceptance.config.ts'
const parts = [
  ...['1/2', '2/2'].map(shard => ({ title: `acceptance on a shared stack, ${shard}`, stacks: 'shared', shard })),
  ...['1/3', '2/3', '3/3'].map(shard => ({
    title: `acceptance on stacks of their own, ${shard}`,
    stacks: 'own',
    shard,
  })),
].map((part, i) => ({ ...part, config, aside: i > 0 }))

check('format and lint (biome)', ['biome', 'check', '.'])
check('types (tsc)', ['tsc'])
check('nothing unused (knip)', ['knip', '--no-progress'])
await vitest({ title: 'unit and contract tests', config: 'vitest.config.ts' })
const next = async () => {
  for (let part = parts.shift(); part; part = parts.shift()) await vitest(part)
}
await Promise.all([next(), next()])
fs.rmSync(folder, { recursive: true, force: true })
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed\n`)
process.exit(sum.failed > 0 || sum.passed === 0 ? 1 : 0)

/** A check that passes or fails as a whole. */
function check(title, argv) {
  process.stdout.write(`\n== ${title}\n`)
  const ok = spawnSync(argv[0], argv.slice(1), { cwd: repository, env, stdio: 'inherit' }).status === 0
  sum[ok ? 'passed' : 'failed']++
}

/** Vitest counts its own; one that ends without a report has failed. What is said beside others is kept until the end. */
async function vitest({ title, config, stacks = '', shard, aside = false }) {
  const report = path.join(folder, `${title.replaceAll(/\W/g, '-')}.json`)
  const argv = ['run', '--config', config, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  if (shard) argv.push(`--shard=${shard}`)
  if (!aside) process.stdout.write(`\n== ${title}\n`)
  const stdio = aside ? ['ignore', 'pipe', 'pipe'] : 'inherit'
  const child = spawn('vitest', argv, { cwd: repository, env: { ...env, OTTAVIA_STACKS: stacks }, stdio })
  running.add(child)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => (said += chunk))
  const status = await new Promise(resolve => child.once('close', resolve).once('error', () => resolve(1)))
  running.delete(child)
  if (aside) process.stdout.write(`\n== ${title}\n${said}`)
  if (!fs.existsSync(report)) return void sum.failed++
  const { numPassedTests, numFailedTests } = JSON.parse(fs.readFileSync(report, 'utf8'))
  sum.passed += numPassedTests
  sum.failed += Math.max(numFailedTests, status === 0 ? 0 : 1)
}
