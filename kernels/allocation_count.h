#pragma once

#include <cstdint>

namespace evenkeel {

// How often operator new has been called in this program, by any thread. For tests that hold a function to allocating
// nothing: linking this replaces the global operator new and delete by ones that count.
int64_t AllocationCount();

}  // namespace evenkeel
