#include "tests/soak/lives.h"

#include <signal.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "tests/child_process.h"

namespace evenkeel::soak {
namespace {

// Of the files in a folder and below it. Those that go meanwhile count for nothing.
int64_t BytesIn(const std::string& folder) {
  int64_t bytes = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, gone)) {
    const auto size = entry.is_regular_file(gone) ? entry.file_size(gone) : 0;
    if (!gone) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

}  // namespace

Lives::Lives(bool record) {
  options_.state_dir = tests::NewFolder("state");
  if (!record) return;
  record_dir_ = tests::NewFolder("record");
  options_.flags = {"--record", record_dir_};
}

absl::Status Lives::Start() {
  start_of_life_ = absl::Now();
  EVENKEEL_ASSIGN_OR_RETURN(coordinator_, tests::EvenkeeldProcess::Start(options_));
  options_.listen = coordinator_->address();
  ++count_;
  return absl::OkStatus();
}

absl::Status Lives::Replace(int signal) {
  const double cpu_seconds = usage().cpu_seconds;
  coordinator_->Signal(signal);
  const tests::Ending ending = coordinator_->Wait();
  past_cpu_seconds_ += cpu_seconds;
  const bool ended_as_told = signal == SIGTERM ? ending.exit_code == 0 : ending.signal == signal;
  if (!ended_as_told) {
    return absl::InternalError(absl::StrCat("evenkeeld ended with exit code ", ending.exit_code, ", signal ",
                                            ending.signal, ": ", ending.stderr_text));
  }
  return Start();
}

int Lives::port() const { return std::atoi(address().substr(address().rfind(':') + 1).c_str()); }

int64_t Lives::database_bytes() const { return BytesIn(options_.state_dir); }

int64_t Lives::record_bytes() const { return record_dir_.empty() ? 0 : BytesIn(record_dir_); }

}  // namespace evenkeel::soak
