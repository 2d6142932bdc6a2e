/** The breaker: when so many amphorae fall silent at once that it is rather a network, or we, that failed. */
import type { Breaker, Tally } from '../store/silences.ts'

/** Are so many silent that none is to be replaced? Replacing would then take down what may well still serve. It counts
 *  those that miss beats now and those that were given up within the last time-out, so that a slow trickle opens it too.
 *  */
export function breaks({ silent, given_up }: Tally, threshold: number): boolean {
  return silent + given_up >= threshold
}

/** Is it closed, now that few enough are silent? It closes when that has lasted for a whole time-out: when a network heals,
 *  the last amphora is heard a little after the first, and must not be replaced in between. */
export function closes({ open_since, calm_s }: Breaker, timeout_s: number): boolean {
  return open_since === null || (calm_s !== null && calm_s >= timeout_s)
}

/** How many at once are too many: the option `failover_threshold`, or, where that is 0, more than a third of the fleet
 *  and at least three, so that a small fleet can lose a whole pair. */
export function thresholdFor(option: number, { fleet }: Tally): number {
  return option > 0 ? option : Math.max(3, Math.floor(fleet / 3) + 1)
}
