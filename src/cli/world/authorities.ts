export function ensureAuthorities(dir: string): Record<string, string> {
  return {}
}
