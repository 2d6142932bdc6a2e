/** The breaker: when so many amphorae fall silent at once that it is rather a network, or we, that failed. */
import type { Tally } from '../store/silences.ts'

/** Are so many silent that none is to be replaced? Replacing would then take down what may well still serve. It counts
 *  those that miss beats now and those that were given up within the last time-out, so that a slow trickle opens it too.
 *  It closes when beats come back, or the threshold is raised. */
export function breaks({ silent, given_up }: Tally, threshold: number): boolean {
  return silent + given_up >= threshold
}

/** How many at once are too many: the option `failover_threshold`, or, where that is 0, more than a third of the fleet
 *  and at least three, so that a small fleet can lose a whole pair. */
export function thresholdFor(option: number, { fleet }: Tally): number {
  return option > 0 ? option : Math.max(3, Math.floor(fleet / 3) + 1)
}
