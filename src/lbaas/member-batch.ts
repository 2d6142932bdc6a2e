/** A batch of members: what has to be asked for so that a pool has just those. */
import type { Request } from './change.ts'
import { Rejected } from './errors.ts'
import type { MemberPut } from './member.ts'
import { leaving, membersOf, type Tree } from './tree.ts'

type Create = Extract<Request, { verb: 'create'; resource: 'member' }> & { new_id?: string }

/** `named` are the fields of a wanted member that a change of one that is there takes over. A member is recognised by
 *  address and port. What is not wanted goes, unless the batch is additive only; what is as wanted is left alone, so a
 *  batch that changes nothing asks for nothing. Removals come first: they make room. */
export function batchOfMembers(
  tree: Tree,
  pool_id: string,
  wanted: readonly { create: Create; named: MemberPut }[],
  additive_only: boolean,
): (Request & { new_id?: string })[] {
  const key = (one: { address: string; protocol_port: number }) => `${one.address} ${one.protocol_port}`
  const there = new Map(
    membersOf(tree, pool_id)
      .filter(member => !leaving(member))
      .map(member => [key(member), member]),
  )
  const keys = new Set<string>()
  for (const { create } of wanted) {
    const { address, protocol_port } = create.fields
    if (keys.has(key(create.fields))) throw new Rejected('duplicate_member', { address, protocol_port, pool_id })
    keys.add(key(create.fields))
  }
  const going = [...there].filter(([address]) => !keys.has(address)).map(([, member]) => member)
  const removals = additive_only
    ? []
    : going.map(({ id }): Request => ({ verb: 'delete', resource: 'member', parent_id: pool_id, id }))
  const others = wanted.flatMap(({ create, named }): Request[] => {
    const member = there.get(key(create.fields))
    if (!member) return [create]
    const changed = Object.entries(named).some(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(member[name as keyof typeof member]),
    )
    return changed ? [{ verb: 'update', resource: 'member', parent_id: pool_id, id: member.id, fields: named }] : []
  })
  return [...removals, ...others]
}
