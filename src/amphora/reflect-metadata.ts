/** The four functions of the metadata proposal that @peculiar/x509's injection asks of Reflect, and no more. */

const records = new WeakMap<object, Map<unknown, unknown>>()

const own = (key: unknown, target: object): unknown => records.get(target)?.get(key)

const inherited = (key: unknown, target: object): unknown => {
  for (let at: object | null = target; at !== null; at = Object.getPrototypeOf(at)) {
    if (records.get(at)?.has(key)) return own(key, at)
  }
  return undefined
}

const define = (key: unknown, value: unknown, target: object): void => {
  if (!records.has(target)) records.set(target, new Map())
  records.get(target)?.set(key, value)
}

const metadata = {
  getOwnMetadata: own,
  getMetadata: inherited,
  hasOwnMetadata: (key: unknown, target: object) => records.get(target)?.has(key) ?? false,
  defineMetadata: define,
}

if (!('getMetadata' in Reflect)) Object.assign(Reflect, metadata)
