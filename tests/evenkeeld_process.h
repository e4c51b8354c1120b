#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "evenkeel/v1/bias_coordinator.grpc.pb.h"
#include "tests/child_process.h"

namespace evenkeel::tests {

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
    // "NAME=value", besides this process's.
    std::vector<std::string> environment;
    // RLIMIT_NOFILE of the process, soft and hard; 0: this process's.
    int max_open_files = 0;
  };

  // Starts it and waits until it accepts calls, or ends: then the error holds its stderr.
  static absl::StatusOr<std::unique_ptr<EvenkeeldProcess>> Start(const Options& options);
  ~EvenkeeldProcess();

  const std::string& address() const { return address_; }
  const std::string& metrics_address() const { return metrics_address_; }
  const std::string& admin_address() const { return admin_address_; }
  pid_t pid() const { return process_.pid(); }

  // A stub on a channel of its own.
  std::unique_ptr<v1::BiasCoordinator::Stub> NewStub() const;

  // Its log so far.
  std::string Log() const { return process_.Errors(); }

  void Signal(int number) { process_.Signal(number); }
  // Waits for the end.
  Ending Wait() { return process_.Wait(); }

 private:
  explicit EvenkeeldProcess(const std::vector<std::string>& command) : process_(command) {}

  ChildProcess process_;
  std::string address_;
  std::string metrics_address_;
  std::string admin_address_;
};

// Runs evenkeeld with these flags until it ends; for command lines that it refuses. One that it takes is killed soon.
Ending RunEvenkeeld(const std::vector<std::string>& flags);

}  // namespace evenkeel::tests
