#!/bin/sh
# What an amphora of the pocket cloud starts at its boot: the agent, again whenever it ends.
while :; do
  /opt/runtime/node /opt/ottavia/agent.mjs --config /etc/octavia/amphora-agent.conf
  sleep 1
done
