/** How a UDP listener is in force on this machine, and what all such ways have in common. */
import fs from 'node:fs/promises'
import path from 'node:path'
import type { ReportedPool } from '../amphora/heartbeat.ts'
import type { DatagramListener } from '../amphora/nftables/datagram-listener.ts'
import type { Answered } from './beat.ts'
import type { DatagramKernel } from './datagram-kernel.ts'
import { readIfThere, writeWhole } from './files.ts'
import type { Log } from './log.ts'
import type { RulesInForce } from './rules-in-force.ts'
import type { Turn } from './turn.ts'

/** One for each listener. All that changes something is called in the listener's turn. */
export type DatagramDriver = {
  /** Rejects, in words, what cannot be brought into force here. */
  check: (document: DatagramListener) => Promise<void>
  /** What it cannot give of what the document asks for, in plain words. */
  shortcomings: (document: DatagramListener) => string[]
  /** Instead of whatever is in force. */
  bring: (document: DatagramListener, text: string) => Promise<void>
  /** The same after a start of the agent: what is in force stays, as far as it is what is wanted. */
  resume: (document: DatagramListener, kept: Kept) => Promise<void>
  /** Takes away all of it but the listener's table. */
  leave: () => Promise<void>
  /** Null while it does not serve. */
  look: (document: DatagramListener) => Promise<Answered>
  pools: (document: DatagramListener) => Promise<Record<string, ReportedPool>>
  /** The agent ends; what serves goes on. */
  letGo: () => void
}

/** What a driver is given by the listener that it is for. */
export type DriverOptions = {
  id: string
  base_path: string
  /** The listener's own. */
  folder: string
  turn: Turn
  rules: RulesInForce
  kernel: DatagramKernel
  log: Log
}

/** What is in force, and who of its members is known to be down. */
export type Kept = { text: string; down: string[] }

export async function readKept(folder: string): Promise<Kept | null> {
  const json = await readIfThere(path.join(folder, KEPT_FILE))
  return json === null ? null : (JSON.parse(json) as Kept)
}

export function keep(folder: string, kept: Kept): Promise<void> {
  return writeWhole(path.join(folder, KEPT_FILE), JSON.stringify(kept))
}

export function keepNothing(folder: string): Promise<void> {
  return fs.rm(path.join(folder, KEPT_FILE), { force: true })
}

const KEPT_FILE = 'running.json'
