#!/usr/bin/env bash
# That the shared library exports what symbols.txt lists and the header declares: no more, for whatever else it showed
# would clash with the trainer's own gRPC, and no less.
set -euo pipefail
library=$1 listed=$2 header=$3

exported=$(nm -D --defined-only --format=posix "$library" | awk '$2 != "A" { sub(/@.*/, "", $1); print $1 }' | sort)
declared=$(grep -o '^EVENKEEL_EXPORT [^(]*(' "$header" | sed 's/.*[ *]\(evenkeel_[a-z_]*\)($/\1/' | sort)

compare() {
  diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") || { echo "FAILED: $1 ('<' is symbols.txt)" >&2; exit 1; }
}
compare "what the library exports" "$(sort "$listed")" "$exported"
compare "what the header declares" "$(sort "$listed")" "$declared"
