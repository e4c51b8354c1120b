#pragma once

#include <cstdio>
#include <cstdlib>

// Aborts, naming the place, when a state that cannot be is there all the same. Input, peers, network and disk
// never come here: their errors are absl::Status values.
#define EVENKEEL_CHECK(condition)                                                                          \
  do {                                                                                                     \
    if (!(condition)) {                                                                                    \
      std::fprintf(stderr, "%s:%d: impossible state: %s does not hold\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                        \
    }                                                                                                      \
  } while (false)
