-- Signs of life of amphorae, what they saw, and what was made of their silence.

-- The row is there from the moment that beats are expected, so that an amphora that never beats is found as well.
create table lbaas.amphora_health (
  amphora_id uuid primary key references lbaas.amphora on delete cascade,
  last_update timestamptz not null default now(),
  -- It was found silent, and is being replaced.
  busy boolean not null default false,
  start_number bigint,
  seq bigint,
  boot_id text,
  role text,
  -- Of what was reported last, and of what was last folded into statuses: equal digests need no second look.
  report_digest text,
  folded text,
  -- Since when it is known to be silent; null while it beats.
  silent_since timestamptz
) with (fillfactor = 70);
create index amphora_health_stale on lbaas.amphora_health (last_update) where not busy;
insert into lbaas.amphora_health (amphora_id) select id from lbaas.amphora where status in ('ALLOCATED', 'READY');

-- Apart from the row above, which is written with every beat: this one only when something is another.
create table lbaas.amphora_report (
  amphora_id uuid primary key references lbaas.amphora_health on delete cascade,
  report jsonb not null
);

-- Amphorae that were given up, as long as they count for the breaker; they outlive their rows.
create table lbaas.silence (
  amphora_id uuid not null,
  load_balancer_id uuid,
  marked_at timestamptz not null default now()
);
create index silence_marked on lbaas.silence (marked_at);

-- Whether replacing has stopped because too many are silent at once. Who judges holds the row.
create table lbaas.breaker (
  one boolean primary key default true check (one),
  open_since timestamptz,
  silent integer not null default 0,
  fleet integer not null default 0,
  threshold integer not null default 0
);
insert into lbaas.breaker default values;

-- What an agent said last that counts from the start of its haproxy: less than that means that it has started again.
alter table lbaas.listener_statistics
  add column said_bytes_in bigint not null default 0,
  add column said_bytes_out bigint not null default 0,
  add column said_total_connections bigint not null default 0,
  add column said_request_errors bigint not null default 0;
-- Written with every beat: room beside the old row keeps its index as it is.
alter table lbaas.listener_statistics set (fillfactor = 70);
