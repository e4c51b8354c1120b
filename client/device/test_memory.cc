#include "client/device/test_memory.h"

#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace evenkeel::client {

bool MemoryMap::Has(const void* address, size_t bytes, bool pinned) const {
  const auto begin = reinterpret_cast<uintptr_t>(address);
  auto block = blocks_.upper_bound(begin);
  if (block == blocks_.begin()) return false;
  --block;
  const size_t offset = begin - block->first;
  return block->second.pinned == pinned && offset <= block->second.bytes && bytes <= block->second.bytes - offset;
}

TestMemory::~TestMemory() {
  for (const auto& [address, block] : map_->blocks_) std::free(reinterpret_cast<void*>(address));
}

void* TestMemory::Allocate(size_t bytes, bool pinned) {
  MutexLock lock(&mutex_);
  if (bytes > limit_ - used_) return nullptr;
  void* const memory = std::calloc(1, bytes > 0 ? bytes : 1);
  EVENKEEL_CHECK(memory != nullptr);
  used_ += bytes;
  auto map = std::make_shared<MemoryMap>(*map_);
  map->blocks_[reinterpret_cast<uintptr_t>(memory)] = {bytes, pinned};
  map_ = std::move(map);
  return memory;
}

void TestMemory::Free(void* memory, bool pinned) {
  if (memory == nullptr) return;
  MutexLock lock(&mutex_);
  auto map = std::make_shared<MemoryMap>(*map_);
  const auto allocated = map->blocks_.find(reinterpret_cast<uintptr_t>(memory));
  EVENKEEL_CHECK(allocated != map->blocks_.end() && allocated->second.pinned == pinned);
  used_ -= allocated->second.bytes;
  std::memset(memory, 0xdd, allocated->second.bytes);
  map->blocks_.erase(allocated);
  map_ = std::move(map);
  std::free(memory);
}

std::shared_ptr<const MemoryMap> TestMemory::map() const {
  MutexLock lock(&mutex_);
  return map_;
}

}  // namespace evenkeel::client
