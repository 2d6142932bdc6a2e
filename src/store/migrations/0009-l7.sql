-- L7 policies and their rules: what is done with requests by what is in them.
create table lbaas.l7policy (
  id uuid primary key,
  project_id text not null,
  name text not null,
  description text not null,
  listener_id uuid not null references lbaas.listener deferrable initially deferred,
  admin_state_up boolean not null,
  action text not null,
  redirect_pool_id uuid references lbaas.pool deferrable initially deferred,
  redirect_url text,
  redirect_prefix text,
  redirect_http_code integer,
  position integer not null,
  tags jsonb not null,
  provisioning_status text not null,
  created_at timestamptz not null,
  updated_at timestamptz,
  generation integer not null,
  reason text
);
create index l7policy_list on lbaas.l7policy (project_id, created_at, id);
create index l7policy_of on lbaas.l7policy (listener_id);
create index l7policy_pool on lbaas.l7policy (redirect_pool_id);

create table lbaas.l7rule (
  id uuid primary key,
  project_id text not null,
  l7policy_id uuid not null references lbaas.l7policy deferrable initially deferred,
  admin_state_up boolean not null,
  type text not null,
  compare_type text not null,
  invert boolean not null,
  key text,
  value text not null,
  tags jsonb not null,
  provisioning_status text not null,
  created_at timestamptz not null,
  updated_at timestamptz,
  generation integer not null,
  reason text
);
create index l7rule_list on lbaas.l7rule (project_id, created_at, id);
create index l7rule_of on lbaas.l7rule (l7policy_id);

alter table lbaas.quota add column l7policy integer;
alter table lbaas.quota add column l7rule integer;
