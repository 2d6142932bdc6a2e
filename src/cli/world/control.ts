/** How commands reach a running stack: HTTP over a Unix socket in the state folder. Both ends. */
import fs from 'node:fs'
import http from 'node:http'
import type { State } from '../state.ts'

export type ControlRoutes = Record<string, (body: unknown) => Promise<unknown>>

/** Serves the routes ("GET /status") on the state folder's socket. */
export function serveControl(state: State, routes: ControlRoutes): http.Server {
  const server = http.createServer(async (request, response) => {
    const answer = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    const route = routes[`${request.method} ${request.url}`]
    if (!route) return answer(404, { error: `no route ${request.method} ${request.url}` })
    try {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      answer(200, await route(chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : null))
    } catch (error) {
      answer(500, { error: (error as Error).message })
    }
  })
  fs.rmSync(state.path(socket_name), { force: true }) // of an earlier stack: we hold the folder's lock
  process.chdir(state.dir) // a socket's path ends at 107 bytes, the folder's may be longer
  server.listen(socket_name)
  return server
}

/** No stack runs on this state folder. */
export class NotRunning extends Error {}

/** Asks the running stack. Rejects with NotRunning when there is none. */
export function askControl<T>(state: State, method: string, path: string, body?: unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const folder = fs.existsSync(state.dir) ? fs.openSync(state.dir, 'r') : null
    const none = () => reject(new NotRunning(`no ottavia runs on ${state.dir}; start one with: npm start`))
    if (folder === null) return none()
    const socketPath = `/proc/self/fd/${folder}/${socket_name}`
    // no agent: it would keep the connection under this name, which is another stack's at the next call
    const request = http.request({ socketPath, method, path, agent: false }, async response => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      const answer = JSON.parse(Buffer.concat(chunks).toString())
      if (response.statusCode === 200) resolve(answer)
      else reject(new Error(answer.error))
    })
    request.once('close', () => fs.closeSync(folder))
    request.once('error', error => {
      const { code } = error as { code?: string }
      if (code === 'ENOENT' || code === 'ECONNREFUSED') none()
      else reject(error)
    })
    request.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const socket_name = 'control.sock'
