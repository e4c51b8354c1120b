#pragma once

#include <functional>
#include <vector>

// A device without a GPU. What is put on a stream is done when somebody waits for it, and not before: a test that does
// not wait sees what it should not.

struct CUstream_st {
  std::vector<std::function<void()>> work;
};
