/** Members that tell what they were asked, as JSON: several on one host, each on a port of its own. A program of its own:
 *  `node echo-server.ts DESCRIPTION`. It runs until its input ends. */
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import os from 'node:os'
import type { TLSSocket } from 'node:tls'

/** By port: `name` is what it is called; with `tls` it speaks that, with `proxy` it wants the PROXY protocol first. */
export type EchoServers = Record<
  number,
  { name: string; proxy?: true; tls?: { cert: string; key: string; client_ca?: string }; cookie?: string }
>

export type Echo = {
  name: string
  method: string
  url: string
  version: string
  headers: Record<string, string>
  /** Whom the connection is from, as the member sees it. */
  peer: string
  /** The line or the header that came first, in hex where it is version 2. */
  proxy: string | null
  tls: { servername: string; client: string | null } | null
}

const servers = JSON.parse(process.argv[2]!) as EchoServers

for (const [port, { name, proxy, tls, cookie }] of Object.entries(servers)) {
  const announced = new WeakMap<net.Socket, string>()
  const answer: http.RequestListener = (request, response) => {
    const socket = request.socket as net.Socket & Partial<TLSSocket>
    const certificate = tls?.client_ca ? socket.getPeerCertificate?.() : undefined
    const said: Echo = {
      name,
      method: request.method!,
      url: request.url!,
      version: request.httpVersion,
      headers: request.headers as Record<string, string>,
      peer: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
      proxy: announced.get(socket) ?? null,
      tls: tls ? { servername: String(socket.servername ?? ''), client: String(certificate?.subject?.CN ?? '') } : null,
    }
    const wait_ms = Number(new URL(request.url!, 'http://x').searchParams.get('wait_ms') ?? 0)
    const headers = { 'content-type': 'application/json', ...(cookie ? { 'set-cookie': cookie } : {}) }
    setTimeout(() => response.writeHead(200, headers).end(`${JSON.stringify(said)}\n`), wait_ms)
  }
  const read = (file: string) => fs.readFileSync(file)
  const server = tls
    ? https.createServer(
        {
          cert: read(tls.cert),
          key: read(tls.key),
          ...(tls.client_ca ? { ca: read(tls.client_ca), requestCert: true, rejectUnauthorized: true } : {}),
        },
        answer,
      )
    : http.createServer(answer)
  if (!proxy) server.listen({ port: Number(port), host: '::' })
  else
    net
      .createServer(socket => {
        socket.once('data', first => {
          const [text, rest] = split(first)
          announced.set(socket, text)
          socket.unshift(rest)
          server.emit('connection', socket)
        })
      })
      .listen({ port: Number(port), host: '::' })
}

/** The announcement of the PROXY protocol, and what follows it. */
function split(bytes: Buffer): [string, Buffer] {
  const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')
  if (bytes.subarray(0, 12).equals(signature)) {
    const length = 16 + bytes.readUInt16BE(14)
    return [bytes.subarray(0, length).toString('hex'), bytes.subarray(length)]
  }
  const end = bytes.indexOf('\r\n') + 2
  return [bytes.subarray(0, end).toString().trim(), bytes.subarray(end)]
}

const addresses = Object.values(os.networkInterfaces()).flat()
const own = (family: string) =>
  addresses.find(a => a && !a.internal && a.family === family && !a.address.startsWith('fe80'))
process.stdout.write(`${JSON.stringify({ ipv4: own('IPv4')?.address ?? null, ipv6: own('IPv6')?.address ?? null })}\n`)
process.stdin.resume().once('end', () => process.exit())
