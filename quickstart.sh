#!/usr/bin/env bash
# Evenkeel on one machine: installs what is missing, builds, starts the coordinator and four workers that route real text
# through mixture-of-experts routers, and shows the experts becoming evenly loaded. `./quickstart.sh --help` tells more.
set -euo pipefail
cd "$(dirname "$0")"

deploy/setup.sh
case " $* " in
  *" --help "* | *" -h "*) ;;
  *)
    echo "quickstart: building (a few minutes the first time)" >&2
    kernels=()
    # Without it the kernels are for Hopper alone.
    if [ -e /dev/nvidiactl ]; then kernels=(--config=cuda_release); fi
    bazel build --noshow_timestamps --ui_event_filters=-info "${kernels[@]}" \
      //server:evenkeeld //client/examples:text_worker //tools:evenkeel
    ;;
esac
exec /usr/bin/python3 tools/quickstart.py "$@"
