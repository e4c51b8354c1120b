#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace evenkeel::routing {

// A matrix that a test may make as large as it likes: address space without memory behind it, but for the pages that
// are touched. All zeros.
template <typename Value>
class SparseMatrix {
 public:
  explicit SparseMatrix(int64_t size) : bytes_(size * sizeof(Value)) {
    data_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  ~SparseMatrix() {
    if (ok()) munmap(data_, bytes_);
  }
  SparseMatrix(const SparseMatrix&) = delete;
  SparseMatrix& operator=(const SparseMatrix&) = delete;

  bool ok() const { return data_ != MAP_FAILED; }
  Value* data() { return static_cast<Value*>(data_); }

 private:
  size_t bytes_;
  void* data_;
};

}  // namespace evenkeel::routing
