#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"

namespace evenkeel::tests {

// How a process ended, and what it wrote to stderr.
struct Ending {
  // Exit code, or -1 when a signal ended it.
  int exit_code = -1;
  int signal = 0;
  std::string stderr_text;
};

// A real evenkeeld of its own on loopback, in a state directory of the test's. Its destructor kills it.
class EvenkeeldProcess {
 public:
  struct Options {
    std::string state_dir;
    // Port 0 takes a free one; a restart names the one that the first life got.
    std::string listen = "127.0.0.1:0";
    std::vector<std::string> flags;
    // RLIMIT_FSIZE of the process, bytes; 0: none. A disk that is full, without one.
    long max_file_bytes = 0;
  };

  // Starts it and waits until it accepts calls, or ends: then the error holds its stderr.
  static absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> Start(const Options& options);
  ~EvenkeeldProcess();

  const std::string& address() const { return address_; }
  const std::string& metrics_address() const { return metrics_address_; }
  pid_t pid() const { return pid_; }

  // A stub on a channel of its own.
  std::unique_ptr<v1::BiasCoordinator::Stub> NewStub() const;

  void Signal(int number);
  // Waits for the end.
  Ending Wait();

 private:
  EvenkeeldProcess() = default;

  pid_t pid_ = -1;
  std::string stderr_path_;
  std::string address_;
  std::string metrics_address_;
};

// Runs evenkeeld with these flags until it ends; for command lines that it refuses.
Ending RunEvenkeeld(const std::vector<std::string>& flags);

// A fresh folder under the test's temporary directory.
std::string NewFolder(const std::string& name);

}  // namespace evenkeel::tests
