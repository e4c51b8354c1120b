#!/usr/bin/env bash
# Installs what is missing, checks format and documents, builds everything and runs every test. Closes with 'N passed, N failed'.
#
#   ./test.sh               all tests
#   ./test.sh --long        with the long forms: arithmetic over every float, more histories in the simulator
#   ./test.sh --sanitizers  the same tests under AddressSanitizer, UBSan and ThreadSanitizer, and with clang's
#                           thread-safety analysis
#   ./test.sh --fuzz [SECONDS]  every fuzz target, a minute each
#   ./test.sh --peers       only the comparisons with PyTorch and Hugging Face transformers; installs these into .peers/
#                           when python3 does not have them. Without them, all tests skip the comparisons and say so.
set -euo pipefail
cd "$(dirname "$0")"

usage() { sed -n '2,/^set/p' "$0" | sed -e '/^set/d' -e 's/^# \{0,1\}//'; }

mode=plain
fuzz_seconds=60
case "${1:-}" in
  "") ;;
  --long) mode=long ;;
  --sanitizers) mode=sanitizers ;;
  --fuzz) mode=fuzz; fuzz_seconds=${2:-60} ;;
  --peers) mode=peers ;;
  --help | -h) usage; exit 0 ;;
  *) echo "test: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
esac

say() { printf 'test: %s\n' "$*" >&2; }

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# One `bazel test`; its results are added up by tests/summary.py. Never ends the script: a failure is a result.
bazel_test() {
  local name=$1
  shift
  say "$name"
  bazel test --noshow_timestamps --keep_going --build_event_json_file="$results/$name.json" "$@" //... || true
}

# One check that is no Bazel test: ok or not, with what it printed.
check() {
  local name=$1
  shift
  say "$name"
  if "$@"; then echo "passed $name" >>"$results/checks"; else echo "failed $name" >>"$results/checks"; fi
}

format_check() {
  git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cc' '*.cu' '*.cuh' | xargs -0 clang-format --dry-run -Werror
}

shell_check() {
  git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run | xargs -0 shellcheck
}

# Builds every fuzz target and runs each for a while, from the inputs that are kept of it; what it finds fails its check.
fuzz_all() {
  local targets target binary kept found
  mapfile -t targets < <(bazel query --noshow_progress 'attr(tags, "\bfuzz\b", kind(cc_binary, //...))')
  check "build of ${#targets[@]} fuzz targets" bazel build --noshow_timestamps --config=fuzz "${targets[@]}"
  for target in "${targets[@]}"; do
    binary=bazel-bin/${target#//}
    kept=${target#//}
    kept=${kept%:*}/testdata/${target#*:}
    found=$(mktemp -d -p "$results")
    if [[ ! -d $kept ]]; then kept=; fi
    check "fuzz $target" "${binary/://}" -max_total_time="$fuzz_seconds" -max_len=4096 -print_final_stats=1 \
      -artifact_prefix="$results/" "$found" ${kept:+"$kept"}
  done
}

# The comparisons with the code of others; each says itself whether it passed, failed or was skipped.
peers() {
  local lines status=0
  check "build of what peers need" bazel build --noshow_timestamps //tools:evenkeel //tests/peers:backward_runner
  say peers
  lines=$(tests/peers/run.sh --binaries bazel-bin "$@") || status=$?
  if [[ $status != 0 && $status != 77 && $lines != *"failed "* ]]; then lines+=$'\nfailed peers'; fi
  echo "${lines#$'\n'}" >>"$results/checks"
}

deploy/setup.sh

case $mode in
  plain | long)
    check format format_check
    check shellcheck shell_check
    check pitfalls tests/pitfalls_check.py
    if [ "$mode" = long ]; then
      bazel_test long --test_env=EVENKEEL_LONG=1 --test_timeout=3600
    else
      bazel_test plain
    fi
    check "faults that cost nothing" tests/fault_table.py
    peers
    ;;
  sanitizers)
    for config in asan ubsan tsan clang; do bazel_test "$config" "--config=$config"; done
    ;;
  fuzz) fuzz_all ;;
  peers) peers --install ;;
esac

bazel shutdown
/usr/bin/python3 tests/summary.py "$results"
