/** Values that become words of a program's text, checked: what is not what it should be is refused with RangeError, so that
 *  nothing can end a word or a line. */
import { isIP, isIPv6 } from 'node:net'

export function expected(fits: boolean, text: string, what: string): string {
  if (!fits) throw new RangeError(`${JSON.stringify(text)} is not ${what}`)
  return text
}

/** Without a zone. */
export function address(value: string): string {
  return expected(isIP(value) !== 0 && !value.includes('%'), value, 'an address')
}

export function network(value: string): string {
  const [where = '', length = '', ...more] = value.split('/')
  const fits = /^\d{1,3}$/.test(length) && Number(length) <= (isIPv6(where) ? 128 : 32)
  address(where)
  return expected(fits && more.length === 0, value, 'a network')
}

export function whole(value: number): number {
  expected(Number.isSafeInteger(value) && value >= 0, String(value), 'a whole number')
  return value
}
