#include "rendezvous/memory.h"

#include <utility>

#include "base/check.h"

namespace evenkeel::rendezvous {

Answer Memory::Find(const std::string& name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : found->second.answer;
}

void Memory::Remember(const std::string& name, Answer answer) {
  Entry entry;
  entry.bytes = 2 * name.size() + answer->SpaceUsedLong() + sizeof(Entry);
  entry.answer = std::move(answer);
  entry.age = ages_.insert(ages_.end(), name);
  bytes_ += entry.bytes;
  EVENKEEL_CHECK(entries_.emplace(name, std::move(entry)).second);
  while (bytes_ > capacity_) Forget(std::string(ages_.front()));
}

void Memory::Forget(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  bytes_ -= found->second.bytes;
  ages_.erase(found->second.age);
  entries_.erase(found);
}

}  // namespace evenkeel::rendezvous
