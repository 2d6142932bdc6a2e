/** Logging of every daemon: one JSON object a line on standard output. */
import { type Logger, pino } from 'pino'

export type Log = Logger

/** A logger that names its program. Never pass it bodies or headers: fields are chosen one by one. */
export function openLog(program: string): Log {
  return pino({
    name: program,
    level: process.env.OTTAVIA_LOG_LEVEL ?? 'info',
    base: { program },
    timestamp: pino.stdTimeFunctions.isoTime,
  })
}
