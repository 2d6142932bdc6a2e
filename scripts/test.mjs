/** `npm test`: installs what it needs, then everything that must hold; one closing line tells the sum. */
import { spawnSync } from 'node:child_process'
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

check('format and lint (biome)', ['biome', 'check', '.'])
check('types (tsc)', ['tsc'])
check('nothing unused (knip)', ['knip', '--no-progress'])
vitest('unit and contract tests', 'vitest.config.ts')
vitest('acceptance on whole stacks', 'vitest.acceptance.config.ts')
fs.rmSync(folder, { recursive: true, force: true })
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed\n`)
process.exit(sum.failed > 0 || sum.passed === 0 ? 1 : 0)

/** A check that passes or fails as a whole. */
function check(title, argv) {
  process.stdout.write(`\n== ${title}\n`)
  const ok = spawnSync(argv[0], argv.slice(1), { cwd: repository, env, stdio: 'inherit' }).status === 0
  sum[ok ? 'passed' : 'failed']++
}

/** Vitest counts its own; one that ends without a report has failed. */
function vitest(title, config) {
  process.stdout.write(`\n== ${title}\n`)
  const report = path.join(folder, `${config}.json`)
  const argv = ['run', '--config', config, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const { status } = spawnSync('vitest', argv, { cwd: repository, env, stdio: 'inherit' })
  if (!fs.existsSync(report)) return void sum.failed++
  const { numPassedTests, numFailedTests } = JSON.parse(fs.readFileSync(report, 'utf8'))
  sum.passed += numPassedTests
  sum.failed += Math.max(numFailedTests, status === 0 ? 0 : 1)
}
