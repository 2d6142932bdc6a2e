/** A client that opens new connections at a steady rate, whatever becomes of the earlier ones (open loop), and counts. A
 *  program of its own: `node load-client.ts URL RATE`. It runs until its input ends, then prints what it saw as JSON. */
import http from 'node:http'
import https from 'node:https'

const [url, rate] = process.argv.slice(2) as [string, string]
const period_ms = 1000 / Number(rate)
const late_ms = 900
const patience_ms = 5_000

/** What a client saw. Nothing is tried again. */
export type Seen = {
  requests: number
  failed: number
  /** Answered, but later than a person likes to wait; TCP asks for a connection again after a second. */
  late: number
  /** The longest time between two answers. */
  outage_ms: number
  /** Bytes of all bodies. */
  body_bytes: number
  /** Of the names and values in the heads of all answers, but for Connection, which is of a hop. */
  head_bytes: number
  /** How often each text was answered. */
  answers: Record<string, number>
  errors: Record<string, number>
}

const seen: Seen = {
  requests: 0,
  failed: 0,
  late: 0,
  outage_ms: 0,
  body_bytes: 0,
  head_bytes: 0,
  answers: {},
  errors: {},
}
const under_way = new Set<http.ClientRequest>()
let last_ms: number | null = null
const begin_ms = performance.now()

const timer = setInterval(() => {
  const due = Math.floor((performance.now() - begin_ms) / period_ms)
  while (seen.requests < due) ask()
}, 2)
process.stdin.resume().once('end', async () => {
  clearInterval(timer)
  for (let waited_ms = 0; under_way.size > 0 && waited_ms < patience_ms; waited_ms += 20)
    await new Promise(resolve => setTimeout(resolve, 20))
  process.stdout.write(`${JSON.stringify(seen)}\n`)
  process.exit(0)
})
process.stdout.write('started\n')

function ask(): void {
  seen.requests++
  const asked_ms = performance.now()
  let over = false
  const end = (error: string | null, text = '', head: string[] = []) => {
    if (over) return
    over = true
    under_way.delete(request)
    if (error !== null) {
      seen.failed++
      seen.errors[error] = (seen.errors[error] ?? 0) + 1
      return
    }
    const now_ms = performance.now()
    if (last_ms !== null) seen.outage_ms = Math.max(seen.outage_ms, now_ms - last_ms)
    last_ms = now_ms
    if (now_ms - asked_ms > late_ms) seen.late++
    seen.body_bytes += Buffer.byteLength(text)
    for (let n = 0; n < head.length; n += 2)
      if (head[n]!.toLowerCase() !== 'connection') seen.head_bytes += head[n]!.length + head[n + 1]!.length
    seen.answers[text.trim()] = (seen.answers[text.trim()] ?? 0) + 1
  }
  const options = { agent: false, headers: { connection: 'close' }, rejectUnauthorized: false }
  const answered = (response: http.IncomingMessage) => {
    const chunks: Buffer[] = []
    response.on('data', chunk => chunks.push(chunk))
    response.on('end', () =>
      end(
        response.statusCode === 200 ? null : `status ${response.statusCode}`,
        String(Buffer.concat(chunks)),
        response.rawHeaders,
      ),
    )
    response.on('error', error => end(error.message))
  }
  const request = url.startsWith('https:') ? https.get(url, options, answered) : http.get(url, options, answered)
  under_way.add(request)
  request.on('error', error => end((error as NodeJS.ErrnoException).code ?? error.message))
  const patience = setTimeout(() => {
    end('no answer')
    request.destroy()
  }, patience_ms)
  request.on('close', () => clearTimeout(patience))
}
