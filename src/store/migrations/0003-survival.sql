-- Pairs of amphorae, and amphorae that take the place of others.
alter table lbaas.load_balancer add column vrrp_group jsonb;
alter table lbaas.amphora
  add column vrrp_applied text,
  add column host_id text,
  add column replaces uuid,
  add column replace boolean not null default false;
-- What was confirmed is named by the digest of the text as well, which was not kept: it is uploaded once more.
update lbaas.amphora set applied = '{}';
