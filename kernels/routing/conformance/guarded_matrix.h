#pragma once

#include <cstddef>
#include <cstdint>

// Memory that a test lends to a kernel, in pages of its own between two that may not be touched: one step too far ends
// the process.
namespace evenkeel::routing {

class GuardedMatrix {
 public:
  // What the matrix lies against: its first byte behind a forbidden page, or its last before one.
  enum class Side { kFirst, kLast };

  // `rows` rows of `row_bytes`, one every `stride_bytes`; poison in every byte. A matrix without rows has nothing but
  // forbidden bytes.
  GuardedMatrix(int64_t rows, size_t row_bytes, size_t stride_bytes, Side side, uint8_t poison);
  ~GuardedMatrix();
  GuardedMatrix(const GuardedMatrix&) = delete;
  GuardedMatrix& operator=(const GuardedMatrix&) = delete;

  void* data() { return data_; }
  template <typename Value>
  Value* row(int64_t t) {
    return reinterpret_cast<Value*>(data_ + t * stride_bytes_);
  }

  // From here on a write ends the process, too.
  void MakeReadOnly();

  // Checks that the bytes between rows, before and after are poison still (a test failure says where not).
  void ExpectPoisonAroundRows() const;

  // Checks that `other`, of the same shape, holds the same bytes in all rows.
  void ExpectSameRows(const GuardedMatrix& other, const char* what) const;

 private:
  const int64_t rows_;
  const size_t row_bytes_;
  const size_t stride_bytes_;
  const uint8_t poison_;
  uint8_t* mapped_;  // with the forbidden pages
  size_t mapped_bytes_;
  uint8_t* open_;  // the pages between them
  size_t open_bytes_;
  uint8_t* data_;
};

}  // namespace evenkeel::routing
