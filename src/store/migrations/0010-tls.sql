-- The certificates and keys that listeners and pools use, sealed with the deployment's passphrase.
create table lbaas.tls_file (
  load_balancer_id uuid not null references lbaas.load_balancer on delete cascade,
  name text not null,
  sealed bytea not null,
  created_at timestamptz not null default now(),
  primary key (load_balancer_id, name)
);
