#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "evenkeel/v1/bias_coordinator.pb.h"

namespace evenkeel::rendezvous {

using Answer = std::shared_ptr<const v1::RendezvousResponse>;

// The answers of complete exchanges, by name: the newest, of `capacity` bytes together. Not thread-safe.
class Memory {
 public:
  explicit Memory(size_t capacity) : capacity_(capacity) {}

  // Null where there is none.
  Answer Find(const std::string& name) const;
  // Forgets the oldest ones where the capacity asks for it, and be it this one. `name` must not be remembered yet.
  void Remember(const std::string& name, Answer answer);
  // Does nothing where there is none.
  void Forget(const std::string& name);

 private:
  struct Entry {
    Answer answer;
    size_t bytes = 0;
    std::list<std::string>::iterator age;
  };

  const size_t capacity_;
  size_t bytes_ = 0;
  std::list<std::string> ages_;  // the oldest first
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace evenkeel::rendezvous
