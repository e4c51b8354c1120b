#pragma once

#include <stdbool.h>

// What a stream of TestRuntime (test_runtime.h) begins with: through it the double of libnccl, a shared library of its
// own, puts its work there. Plain C.
struct CUstream_st {
  // Enqueues a call of run(argument), which comes in the stream's turn, on any thread, and again, later, for as long as
  // it returns false ("not yet"): so long nothing else of the stream runs. It never runs inside of enqueue, and not at
  // all once the runtime ends. From any thread.
  void (*enqueue)(struct CUstream_st* stream, bool (*run)(void*), void* argument);
};
