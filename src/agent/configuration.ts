/** haproxy.cfg, read into sections, lines and servers, as far as two of them have to be compared. */
import { words } from '../amphora/haproxy/language.ts'

export type Configuration = { sections: Section[] }

export type Section = {
  kind: string
  name: string
  /** All but the servers of a backend, in words. */
  lines: string[][]
  servers: Server[]
}

export type Server = {
  name: string
  address: string
  port: string
  weight: number
  disabled: boolean
  /** All other words of its line. */
  rest: string[]
}

export function parseConfiguration(text: string): Configuration {
  const sections: Section[] = []
  for (const line of text.split('\n')) {
    const [first, ...rest] = words(line)
    if (first === undefined) continue
    if (isSection(first)) {
      sections.push({ kind: first, name: rest.join(' '), lines: [], servers: [] })
      continue
    }
    const section = sections.at(-1)
    const server = first === 'server' && section?.kind === 'backend' ? parseServer(rest) : null
    if (server !== null) section!.servers.push(server)
    else section?.lines.push([first, ...rest])
  }
  return { sections }
}

/** The listeners that it is for: asked at each change, so the rest is not read. */
export function frontendsOf(text: string): string[] {
  const heads = text.split('\n').filter(line => line.startsWith('frontend '))
  return heads.map(line => words(line)[1]!)
}

/** In the field's words. */
export function typeOf({ sections }: Configuration, listener_id: string): string {
  const lines = sections.find(each => each.kind === 'frontend' && each.name === listener_id)?.lines ?? []
  if (lines.some(line => line[0] === 'bind' && line.includes('ssl'))) return 'TERMINATED_HTTPS'
  return (lines.find(line => line[0] === 'mode')?.[1] ?? '').toUpperCase()
}

/** Whether the word begins a section. */
export function isSection(word: string): boolean {
  return sectionKinds.has(word)
}

const sectionKinds = new Set(
  'global defaults frontend backend listen peers resolvers userlist mailers program cache http-errors ring log-forward fcgi-app'.split(
    ' ',
  ),
)

/** Null when the line has a form in which weight or `disabled` cannot be told from other keywords' arguments. */
function parseServer([name, endpoint, ...params]: string[]): Server | null {
  const colon = endpoint?.lastIndexOf(':') ?? -1
  if (name === undefined || endpoint === undefined || colon < 1) return null
  const server: Server = {
    name,
    address: endpoint.slice(0, colon),
    port: endpoint.slice(colon + 1),
    weight: 1,
    disabled: false,
    rest: [],
  }
  for (let i = 0; i < params.length; i++) {
    const word = params[i]!
    if (word === 'weight') server.weight = Number(params[++i])
    else if (word === 'disabled') server.disabled = true
    else if (flags.has(word)) server.rest.push(word)
    else if (options.has(word)) server.rest.push(word, params[++i] ?? '')
    else return null
  }
  return Number.isInteger(server.weight) ? server : null
}

const flags = new Set(
  'backup check check-ssl ssl send-proxy send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn no-sslv3 no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13'.split(
    ' ',
  ),
)
const options = new Set(
  'inter fall rise addr port cookie verify sni alpn check-alpn ciphers ciphersuites ssl-min-ver ssl-max-ver ca-file crl-file crt maxconn pool-purge-delay'.split(
    ' ',
  ),
)
