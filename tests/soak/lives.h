#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "tests/evenkeeld_process.h"
#include "tests/load/process_usage.h"

namespace evenkeel::soak {

// A coordinator that is ended and started again, on one state and at one address.
class Lives {
 public:
  // `record`: it writes a record of its jobs. Folders are made in the test's temporary directory.
  explicit Lives(bool record);

  absl::Status Start();
  // Ends it with that signal, and starts the next. An error where SIGTERM does not end it cleanly.
  absl::Status Replace(int signal);

  const std::string& address() const { return coordinator_->address(); }
  const std::string& metrics_address() const { return coordinator_->metrics_address(); }
  int port() const;
  int64_t count() const { return count_; }
  absl::Time start_of_life() const { return start_of_life_; }

  // Of this life, now.
  load::ProcessUsage usage() const { return load::UsageOf(coordinator_->pid()); }
  // Of all lives.
  double cpu_seconds() const { return past_cpu_seconds_ + usage().cpu_seconds; }
  // Of the database with its log, and of the record.
  int64_t database_bytes() const;
  int64_t record_bytes() const;

 private:
  tests::EvenkeeldProcess::Options options_;
  std::string record_dir_;
  std::unique_ptr<tests::EvenkeeldProcess> coordinator_;
  int64_t count_ = 0;
  double past_cpu_seconds_ = 0;
  absl::Time start_of_life_ = absl::InfinitePast();
};

}  // namespace evenkeel::soak
