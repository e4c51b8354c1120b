#include "kernels/routing/conformance/guarded_matrix.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

size_t PageBytes() {
  static const size_t bytes = sysconf(_SC_PAGESIZE);
  return bytes;
}

void Check(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

}  // namespace

GuardedMatrix::GuardedMatrix(int64_t rows, size_t row_bytes, size_t stride_bytes, Side side, uint8_t poison)
    : rows_(rows), row_bytes_(row_bytes), stride_bytes_(stride_bytes), poison_(poison) {
  const size_t bytes = rows == 0 ? 0 : (rows - 1) * stride_bytes + row_bytes;
  const size_t page = PageBytes();
  open_bytes_ = (bytes + page - 1) / page * page;
  mapped_bytes_ = open_bytes_ + 2 * page;
  void* mapped = mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  Check(mapped != MAP_FAILED, "mmap");
  mapped_ = static_cast<uint8_t*>(mapped);
  open_ = mapped_ + page;
  if (open_bytes_ > 0) Check(mprotect(open_, open_bytes_, PROT_READ | PROT_WRITE) == 0, "mprotect");
  std::memset(open_, poison, open_bytes_);
  data_ = side == Side::kFirst ? open_ : open_ + open_bytes_ - bytes;
}

GuardedMatrix::~GuardedMatrix() { munmap(mapped_, mapped_bytes_); }

void GuardedMatrix::MakeReadOnly() {
  if (open_bytes_ > 0) Check(mprotect(open_, open_bytes_, PROT_READ) == 0, "mprotect");
}

void GuardedMatrix::ExpectPoisonAroundRows() const {
  const uint8_t* gap = open_;
  for (int64_t t = 0; t <= rows_; ++t) {
    const uint8_t* end = t < rows_ ? data_ + t * stride_bytes_ : open_ + open_bytes_;
    const uint8_t* touched = std::find_if(gap, end, [this](uint8_t byte) { return byte != poison_; });
    ASSERT_EQ(touched, end) << "written " << touched - gap << " bytes after row " << t - 1;
    gap = end + row_bytes_;
  }
}

void GuardedMatrix::ExpectSameRows(const GuardedMatrix& other, const char* what) const {
  ASSERT_EQ(rows_, other.rows_);
  ASSERT_EQ(row_bytes_, other.row_bytes_);
  for (int64_t t = 0; t < rows_; ++t) {
    const uint8_t* row = data_ + t * stride_bytes_;
    const uint8_t* other_row = other.data_ + t * other.stride_bytes_;
    const uint8_t* differs = std::mismatch(row, row + row_bytes_, other_row).first;
    ASSERT_EQ(differs, row + row_bytes_) << what << " differ in row " << t << ", byte " << differs - row << " of "
                                         << row_bytes_;
  }
}

}  // namespace evenkeel::routing
