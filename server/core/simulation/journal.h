#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/simulation/event_loop.h"

namespace evenkeel::core::simulation {

// What a history tells: its events, how often it met what it was made for, and the first breach of the contract.
class Journal {
 public:
  // `loop` outlives the journal. Events are kept only where they will be read.
  Journal(const EventLoop* loop, bool keep_events) : loop_(loop), keep_events_(keep_events) {}

  template <typename... Words>
  void Note(const Words&... words) {
    if (keep_events_) events_.push_back(absl::StrCat(loop_->now_ms(), " ms: ", words...));
  }

  void Count(absl::string_view what) { ++counts_[std::string(what)]; }

  template <typename... Words>
  void Complain(const Words&... words) {
    if (!complaint_.empty()) return;
    complaint_ = absl::StrCat(words...);
    Note("BREACH: ", complaint_);
  }

  const std::vector<std::string>& events() const { return events_; }
  const std::map<std::string, int>& counts() const { return counts_; }
  // Empty while the contract holds.
  const std::string& complaint() const { return complaint_; }

 private:
  const EventLoop* const loop_;
  const bool keep_events_;
  std::vector<std::string> events_;
  std::map<std::string, int> counts_;
  std::string complaint_;
};

}  // namespace evenkeel::core::simulation
