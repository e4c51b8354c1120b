#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace evenkeel::client {

// What was allocated at some moment. It does not change: who runs later looks at what there was when it was enqueued,
// and takes no lock for it that would hide a missing wait from ThreadSanitizer.
class MemoryMap {
 public:
  // Whether all of address .. address + bytes - 1 is in one allocation, of the device alone or also of pinned memory.
  bool IsDevice(const void* address, size_t bytes) const { return Has(address, bytes, /*pinned=*/false); }
  bool IsDeviceOrPinned(const void* address, size_t bytes) const {
    return IsDevice(address, bytes) || Has(address, bytes, /*pinned=*/true);
  }

 private:
  friend class TestMemory;
  struct Block {
    size_t bytes;
    bool pinned;
  };

  bool Has(const void* address, size_t bytes, bool pinned) const;

  std::map<uintptr_t, Block> blocks_;
};

// The memory of a device that is the host's. Thread-safe.
class TestMemory {
 public:
  // Up to `limit` bytes at a time.
  explicit TestMemory(size_t limit) : limit_(limit) {}
  ~TestMemory();

  // Filled with 0; null where there is no room.
  void* Allocate(size_t bytes, bool pinned);
  // Aborts where it is none of Allocate's. Null is nothing. What was there is overwritten first.
  void Free(void* memory, bool pinned);

  std::shared_ptr<const MemoryMap> map() const;

 private:
  const size_t limit_;
  mutable Mutex mutex_;
  std::shared_ptr<const MemoryMap> map_ ABSL_GUARDED_BY(mutex_) = std::make_shared<MemoryMap>();
  size_t used_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace evenkeel::client
