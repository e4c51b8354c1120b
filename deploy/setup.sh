#!/usr/bin/env bash
# Installs the Debian packages that Evenkeel is built from and tested with. Idempotent, and quick when nothing is missing.
#
#   deploy/setup.sh           install what is missing
#   deploy/setup.sh --check   only say what is missing (exit 1 if anything is)
set -euo pipefail

packages=(
  # the build
  bazel-bootstrap bazel-rules-java g++ pkg-config git patchelf
  # libraries
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev prometheus-cpp-dev
  libssl-dev zlib1g-dev libcivetweb-dev libsqlite3-dev libyaml-cpp-dev libxxhash-dev libhwy-dev libgloo-dev
  # tests and benchmarks
  libgtest-dev libgmock-dev libbenchmark-dev clang clang-format libclang-rt-14-dev shellcheck sqlite3 curl
  procps python3 python3-numpy cmake make chromium
  prometheus python3-yaml yamllint
)

say() { printf 'setup: %s\n' "$*" >&2; }

case "${1:-}" in
  "" | --check) ;;
  *) say "unknown argument '$1'; usage: deploy/setup.sh [--check]"; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
  say "this system has no dpkg: install the equivalents of these Debian 12 packages by hand:"
  say "  ${packages[*]}"
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  say "all ${#packages[@]} packages are installed"
  exit 0
fi
if [ "${1:-}" = --check ]; then
  say "missing: ${missing[*]}"
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    say "missing: ${missing[*]}"
    say "installing them needs root. Run:  sudo apt-get install -y --no-install-recommends ${missing[*]}"
    exit 1
  fi
fi
if ! command -v apt-get >/dev/null; then
  say "missing: ${missing[*]}; and there is no apt-get here to install them with"
  exit 1
fi

say "installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q >&2 || say "apt-get update failed; trying with the lists that are here"
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
# Tests start a Prometheus of their own. The service that its package has started is nobody's wish.
if [[ " ${missing[*]} " == *" prometheus "* ]]; then
  if ! "${as_root[@]}" invoke-rc.d prometheus stop >&2 || ! "${as_root[@]}" update-rc.d prometheus disable >&2; then
    say "the service of the package prometheus could not be stopped and disabled; nothing here needs it"
  fi
fi
say "done"
