/** haproxy's configuration language: how one word is written so that it stays one word, and how a line is read back. */

/** Writes any string as one word of haproxy.cfg. Every value that a tenant can choose passes here.
 *  What is not plainly harmless is written as \xHH, byte by byte of UTF-8: haproxy decodes it after it has split the
 *  line, so it can neither end the word nor the line, begin a comment, or name a variable. haproxy cannot hold a NUL;
 *  U+FFFD stands for it, as for a lone surrogate. What the keyword before it makes of the word is another matter: a
 *  log-format doubles its `%`, a list of patterns begins with `--`. */
export function word(value: string): string {
  if (value === '') return '""'
  let written = ''
  for (const byte of Buffer.from(value.replaceAll('\0', '\ufffd'), 'utf8')) {
    const character = String.fromCharCode(byte)
    written += harmless.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return written
}

const harmless = /^[A-Za-z0-9._:/@,=+-]$/

/** Writes any string as an argument of a sample fetch, as in `req.cook(NAME)`, which haproxy splits a second time:
 *  at commas and parentheses, with quotes and backslashes of its own. */
export function fetchArgument(value: string): string {
  if (/^[A-Za-z0-9._-]+$/.test(value)) return value
  return word(`"${value.replace(/["\\$]/g, '\\$&')}"`)
}

/** The words of one line, decoded as haproxy does it (measured with 2.6). A comment ends the line. Variables ("$NAME")
 *  are left as they stand: no rendering of a load balancer has them. */
export function words(line: string): string[] {
  const text = Buffer.from(line, 'utf8').toString('latin1')
  const found: string[] = []
  let current: string | null = null
  let quote: string | null = null
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (c === '\\' && quote !== "'") {
      const escaped = readEscape(text, i + 1)
      current = (current ?? '') + escaped.character
      i += escaped.length
    } else if (quote !== null) {
      if (c === quote) quote = null
      else current += c
    } else if (c === '"' || c === "'") {
      quote = c
      current ??= ''
    } else if (c === ' ' || c === '\t' || c === '\r') {
      if (current !== null) found.push(current)
      current = null
    } else if (c === '#') break
    else current = (current ?? '') + c
  }
  if (current !== null) found.push(current)
  return found.map(each => Buffer.from(each, 'latin1').toString('utf8'))
}

/** The character that a backslash before `at` makes, and how much of the text it takes. */
function readEscape(text: string, at: number): { character: string; length: number } {
  const c = text[at] ?? ''
  if (c === 'x' && /^[0-9a-fA-F]{2}$/.test(text.slice(at + 1, at + 3))) {
    return { character: String.fromCharCode(Number.parseInt(text.slice(at + 1, at + 3), 16)), length: 3 }
  }
  const control = { n: '\n', r: '\r', t: '\t' }[c]
  if (control !== undefined) return { character: control, length: 1 }
  if (c !== '' && ` #\\"'$`.includes(c)) return { character: c, length: 1 }
  return { character: '\\', length: 0 }
}
