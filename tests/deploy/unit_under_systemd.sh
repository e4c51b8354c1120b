#!/usr/bin/env bash
# What boot_systemd.sh runs: evenkeeld.service, installed by what deploy/README.md says, is reloaded, killed and stopped.
# Fails at the first thing that is not as it should be; the log of the service comes last.
set -euxo pipefail
trap 'journalctl --unit evenkeeld --no-pager' EXIT

show() { systemctl show --value --property "$1" evenkeeld; }
answers() { curl --silent --fail --retry 200 --retry-connrefused --retry-delay 0 --retry-max-time 60 "$1" | grep -q .; }

cd /shared
bash -eux install_commands
answers http://127.0.0.1:7412/readyz

# A user without a name on the machine, who alone may look into the state.
first=$(show MainPID)
[ "$(ps -o user= -p "$first")" = evenkeeld ]
[ "$(stat --dereference --format %a:%U /var/lib/evenkeel)" = 700:evenkeeld ]
[ -f /var/lib/evenkeel/evenkeel.db ]
grep -q '^NoNewPrivs:.*1$' "/proc/$first/status"
grep -q '^CapBnd:.*0000000000000000$' "/proc/$first/status"
grep -q '^Seccomp:.*2$' "/proc/$first/status"

systemctl reload evenkeeld
[ "$(show MainPID)" = "$first" ]

kill -KILL "$first"
for _ in {1..600}; do [ "$(show NRestarts)" = 1 ] || sleep 0.1; done
answers http://127.0.0.1:7412/readyz
[ "$(show MainPID)" != "$first" ]

systemctl stop evenkeeld
[ "$(show Result)" = success ]
[ "$(show ExecMainStatus)" = 0 ]
