/** The agent's log: one JSON object a line on standard error. */

export type Log = (message: string, fields?: Record<string, unknown>) => void

export const log: Log = (message, fields = {}) => {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), message, ...fields })}\n`)
}
