/** Echo servers on a host of the network private, and what curl on that host is told through a VIP. */
import { spawn } from 'node:child_process'
import path from 'node:path'
import type { Api } from './api.ts'
import type { Echo, EchoServers } from './echo-server.ts'
import type { Stack } from './stack.ts'

export type Servers = { address: string; stop: () => Promise<void> }

/** Starts them, on ports from 8000 to 8999, which the tenant's default security group then lets in; they end with their
 *  input. */
export async function startEcho(stack: Stack, api: Api, servers: EchoServers): Promise<Servers> {
  const { body } = await api.network<{ security_groups: { id: string }[] }>('GET', 'security-groups?name=default')
  const rule = { direction: 'ingress', protocol: 'tcp', port_range_min: 8000, port_range_max: 8999 }
  for (const ethertype of ['IPv4', 'IPv6']) {
    const security_group_rule = { ...rule, ethertype, security_group_id: body.security_groups[0]!.id }
    await api.network('POST', 'security-group-rules', { security_group_rule }) // 409 where it is there
  }
  const program = path.join(import.meta.dirname, 'echo-server.ts')
  const [command, ...args] = stack.command('exec', '--', process.execPath, program, JSON.stringify(servers))
  const child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise(resolve => child.once('close', resolve))
  let output = ''
  child.stdout!.on('data', chunk => (output += chunk))
  while (!output.includes('\n')) {
    if (child.exitCode !== null) throw new Error('the echo servers did not start')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const { ipv4 } = JSON.parse(output) as { ipv4: string }
  const stop = async () => {
    child.stdin!.end()
    await ended
  }
  return { address: ipv4, stop }
}

/** What came back: the status, where to, the headers in lower case, and what the member told. */
export type Reply = {
  status: number
  version: string
  location: string
  headers: Record<string, string>
  echo: Echo | null
  error: string
}

/** One request by curl, with further arguments of its own. */
export async function curl(stack: Stack, url: string, ...args: string[]): Promise<Reply> {
  const written = '\n%{http_code} %{http_version} %{redirect_url}'
  const { stdout, stderr } = await stack.exec('curl', '-gsSk', '-i', '--max-time', '8', '-w', written, ...args, url)
  const lines = stdout.split('\n')
  const [status, version = '', location = ''] = lines.pop()!.split(' ')
  const text = lines.join('\n')
  const [head = '', ...rest] = text.split(/\r\n\r\n/)
  const pairs = head
    .split('\r\n')
    .slice(1)
    .map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])
  const body = rest.join('\r\n\r\n').trim()
  const echo = body.startsWith('{') ? (JSON.parse(body) as Echo) : null
  return { status: Number(status), version, location, headers: Object.fromEntries(pairs), echo, error: stderr.trim() }
}

/** The names of the members that answer `count` requests, one connection each. */
export async function names(stack: Stack, url: string, count: number, ...args: string[]): Promise<string[]> {
  const urls = Array(count).fill(url) as string[]
  const shell = urls.map(() => `curl -gsSk --max-time 8 "$@" || echo '{"name":"nobody"}'`).join('; ')
  const { stdout } = await stack.exec('sh', '-c', shell, 'sh', ...args, url)
  return stdout
    .trim()
    .split('\n')
    .map(line => (JSON.parse(line) as Echo).name)
}
