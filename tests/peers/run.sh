#!/usr/bin/env bash
# Holds Evenkeel against the code of others: PyTorch, Hugging Face transformers and safetensors. `./test.sh` calls it; it can also be
# called by itself, when //tools:evenkeel and //tests/peers:backward_runner are built. One line a check on stdout:
# 'passed NAME', 'failed NAME', or 'skipped NAME: why'. The rest is on stderr.
#
#   tests/peers/run.sh                 with python3 or the one in .peers/, whichever has what requirements.txt lists
#   tests/peers/run.sh --install       makes .peers/ first, if neither can
#   tests/peers/run.sh --binaries DIR  where Evenkeel's binaries are (bazel-bin)
#
# Exit status: 0 all passed, 1 something failed, 2 could not install, 77 skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly room=tests/peers environment=.peers
readonly checks=(hf_routers eager_router_check backward_against_autograd safetensors_check)

say() { printf 'peers: %s\n' "$*" >&2; }

install=false
binaries=bazel-bin
while [ $# -gt 0 ]; do
  case $1 in
    --install) install=true ;;
    --binaries) binaries=${2:?peers: --binaries needs a folder}; shift ;;
    *) sed -n '2,/^set/p' "$0" | sed -e '/^set/d' -e 's/^# \{0,1\}//' >&2; say "unknown argument '$1'"; exit 2 ;;
  esac
  shift
done

# Why a Python is of no use, in one line; nothing when it is.
fault() {
  command -v "$1" >/dev/null || { echo "there is no $1"; return; }
  PYTHONPATH=$room "$1" -c 'import hf_modules' 2>&1 >/dev/null | tail -n 1 || true
}

# The first Python that has everything; nothing when none has.
find_python() {
  local candidate
  for candidate in python3 "$environment/bin/python"; do
    if [ -z "$(fault "$candidate")" ]; then echo "$candidate"; return; fi
  done
}

make_environment() {
  say "making $environment/ with PyTorch and transformers; pip may fetch several GB"
  if ! python3 -m venv "$environment" >&2; then
    say "python3 -m venv failed; on Debian, install the package python3-venv"
    exit 2
  fi
  if ! "$environment/bin/python" -m pip install --disable-pip-version-check -r "$room/requirements.txt" >&2; then
    say "pip could not install $room/requirements.txt, and said why above. Without a package index, install what that"
    say "file lists into any Python, and put it on PATH as python3."
    exit 2
  fi
}

python=$(find_python)
if [ -z "$python" ] && $install; then
  make_environment
  python=$(find_python)
  [ -n "$python" ] || { say "installed, but: $(fault "$environment/bin/python")"; exit 2; }
fi
if [ -z "$python" ]; then
  why="$(fault python3); ./test.sh --peers installs what is missing"
  say "skipped: $why"
  echo "skipped peers: $why"
  exit 77
fi

say "with $("$python" -c 'import sys, torch, transformers
print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, transformers {transformers.__version__}")')"
status=0
for check in "${checks[@]}"; do
  if "$python" "$room/$check.py" --binaries "$binaries" >&2; then
    echo "passed peers $check"
  else
    echo "failed peers $check"
    status=1
  fi
done
exit $status
