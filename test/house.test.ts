/** The house rules: who may import whom, names, sizes, first lines; each failure says what to do instead. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

const repository = path.resolve(import.meta.dirname, '..')
const files = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', 'src', 'test', 'bench', 'scripts'],
  {
    cwd: repository,
    encoding: 'utf8',
  },
)
  .split('\n')
  .filter(file => /\.(ts|mjs)$/.test(file) && fs.existsSync(path.join(repository, file)))
const sources = files.map(file => ({ file, text: fs.readFileSync(path.join(repository, file), 'utf8') }))
const own = sources.filter(({ file }) => file.startsWith('src/'))

describe('rooms', () => {
  test('every import stays within what its room may use', () => {
    const argv = ['depcruise', 'src', '--output-type', 'json', '--config', '.dependency-cruiser.cjs']
    const cruise = JSON.parse(run(argv)) as {
      modules: { source: string }[]
      summary: {
        violations: { from: string; to: string; rule: { name: string } }[]
        ruleSetUsed: { forbidden: { name: string; comment: string }[] }
      }
    }
    const comments = new Map(cruise.summary.ruleSetUsed.forbidden.map(rule => [rule.name, rule.comment]))
    const broken = cruise.summary.violations.map(v => `${v.from} → ${v.to}: ${comments.get(v.rule.name)}`)
    expect(broken).toEqual([])
    const read = cruise.modules.filter(module => module.source.startsWith('src/')).length
    expect(read, 'dependency-cruiser must have read every source file').toBeGreaterThanOrEqual(
      own.filter(s => s.file.endsWith('.ts')).length,
    )
  })
})

describe('files', () => {
  test('none is longer than one sitting', () => {
    const long = sources.filter(({ text }) => text.split('\n').length > 351).map(({ file }) => file)
    expect(long, 'split it where it has become two things').toEqual([])
  })

  test('the first line says what the file is', () => {
    const silent = sources.filter(({ text }) => !/^(#!.*\n)?\/(\*\*|\/) \S/.test(text)).map(({ file }) => file)
    expect(silent, 'begin the file with /** what it is. */').toEqual([])
  })

  test('names are kebab-case nouns, none of the words that attract everything', () => {
    const bad = files.filter(file => {
      const name = path.basename(file).replace(/\.(test\.)?(world\.)?(ts|mjs)$/, '')
      return !/^[a-z0-9]+([-.][a-z0-9]+)*$/.test(name) || name.split(/[-.]/).some(word => banned.has(word))
    })
    expect(bad, `avoid: ${[...banned].join(', ')}`).toEqual([])
  })
})

describe('text', () => {
  test('identifiers avoid the words that say nothing', () => {
    const pattern = /\b(?:function|class|const|type)\s+\w*(?:Manager|Helper|Util|Misc)\w*/
    expect(own.filter(({ text }) => pattern.test(text)).map(({ file }) => file)).toEqual([])
  })

  test('nothing is left for later', () => {
    const marks = new RegExp(`\\b(${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')}|X{3})\\b`)
    expect(sources.filter(({ text }) => marks.test(text)).map(({ file }) => file)).toEqual([])
  })

  test('the domain has no clock and no randomness', () => {
    const impure = own.filter(
      ({ file, text }) =>
        /^src\/lbaas\/(?!.*\.test\.ts$)/.test(file) && /Date\.now|new Date\(\)|Math\.random|randomUUID/.test(text),
    )
    expect(
      impure.map(({ file }) => file),
      'pass the time and the ids in',
    ).toEqual([])
  })
})

describe('documents', () => {
  const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
    cwd: repository,
    encoding: 'utf8',
  })
    .split('\n')
    .filter(file => file !== '')

  test('commands of ./ottavia that they quote exist', () => {
    const help = run(['./ottavia', '--help'])
    const known = [...help.matchAll(/^ {2}([a-z]+)/gm)].map(match => match[1])
    const quoted = documents.flatMap(file =>
      [...fs.readFileSync(path.join(repository, file), 'utf8').matchAll(/\.\/ottavia ([a-z]+)/g)].map(
        match => `${file}: ${match[1]}`,
      ),
    )
    expect(quoted.filter(quote => !known.includes(quote.split(': ')[1]))).toEqual([])
    expect(known.length).toBeGreaterThan(5)
  })

  test('files that they point to exist', () => {
    const dead = documents.flatMap(file =>
      [...fs.readFileSync(path.join(repository, file), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
        .filter(match => !fs.existsSync(path.resolve(repository, path.dirname(file), match[1]!)))
        .map(match => `${file}: ${match[1]}`),
    )
    expect(dead).toEqual([])
  })
})

const banned = new Set([
  'manager',
  'helper',
  'helpers',
  'util',
  'utils',
  'common',
  'base',
  'misc',
  'core',
  'lib',
  'info',
  'data',
  'handle',
  'index',
  'types',
])

function run(argv: string[]): string {
  return execFileSync(argv[0]!, argv.slice(1), {
    cwd: repository,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    env: { ...process.env, PATH: `${repository}/node_modules/.bin:${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}
