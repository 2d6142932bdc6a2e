/** Who asks Nova, and in which microversion. */
import type { Identity } from '../keystone/tokens.ts'

/** What every route needs of its request; `minor` is the second number of the microversion. */
export type Caller = { identity: Identity; minor: number }
