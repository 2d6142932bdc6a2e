-- Rollouts of images: what was asked for. What is left of one is seen from the amphorae themselves.
create table lbaas.rollout (
  id bigint generated always as identity primary key,
  image_tag text not null,
  -- The image that the tag was last seen to stand for.
  image_id uuid,
  -- How many load balancers are at it at once.
  batch integer not null,
  paused boolean not null default false,
  started_at timestamptz not null default now(),
  ended_at timestamptz,
  -- Why it has stopped; starting it again goes on.
  failed text
);
create unique index rollout_running on lbaas.rollout ((true)) where ended_at is null;
