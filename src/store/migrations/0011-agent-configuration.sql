-- Whether an amphora's agent is to be given its own configuration again.
alter table lbaas.amphora add column config_due boolean not null default false;
