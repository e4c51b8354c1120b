#pragma once

#include <cstdio>
#include <cstdlib>

namespace evenkeel::balance {

// Ends the process with the broken contract on stderr, in every build. For what a caller promised, never for
// input.
inline void Check(bool holds, const char* contract) {
  if (holds) return;
  std::fprintf(stderr, "evenkeel::balance: broken contract: %s\n", contract);
  std::abort();
}

}  // namespace evenkeel::balance
