/** What Keystone's objects look like when new. */
import { randomUUID } from 'node:crypto'
import { type Assignment, hashPassword, type Project, type User } from './tokens.ts'

export function newProject(name: string, description: string): Project {
  return {
    id: hexId(),
    name,
    domain_id: 'default',
    description,
    enabled: true,
    parent_id: 'default',
    is_domain: false,
    tags: [],
    options: {},
  }
}

export function newUser(name: string, password: string): User {
  return {
    id: hexId(),
    name,
    domain_id: 'default',
    enabled: true,
    password_expires_at: null,
    options: {},
    _password: hashPassword(password),
  }
}

export function newAssignment(fields: { user_id: string; project_id: string; role_id: string }): Assignment {
  const { user_id, project_id, role_id } = fields
  return { id: `${project_id}/${user_id}/${role_id}`, user_id, project_id, role_id }
}

/** Keystone's ids have no dashes. */
export function hexId(): string {
  return randomUUID().replace(/-/g, '')
}
