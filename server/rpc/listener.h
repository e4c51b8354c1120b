#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/log_event.h"
#include "base/mutex.h"
#include "grpcpp/server_builder.h"
#include "server/rpc/connection_table.h"

namespace evenkeel::rpc {

// The listening sockets of a gRPC server, whose connections it accepts by itself, for gRPC 1.51 has no bound for them,
// and never again accepts anything once the process has been out of file descriptors. Here connections have a bound,
// and what is beyond it is closed at once; out of descriptors, it waits until there are some.
class Listener {
 public:
  using Acceptor = grpc::experimental::ExternalConnectionAcceptor;

  // Listens on `address` (host:port; port 0 takes a free one), without sharing the port. UNAVAILABLE, naming the
  // address, when that fails. `log` gets a line, at most one a minute, when connections are refused.
  static absl::StatusOr<std::unique_ptr<Listener>> Open(const std::string& address, int max_connections, LogSink log);

  // Stops as Stop does.
  ~Listener();

  // host:port as bound.
  const std::string& address() const { return address_; }

  // Hands connections to a server that has been started. Once.
  void Start(std::unique_ptr<Acceptor> acceptor);
  // Connections that are open. Thread-safe.
  int CountOpen();
  // No connection is accepted any more. Idempotent.
  void Stop();

 private:
  Listener(int max_connections, LogSink log);

  absl::Status Bind(const std::string& host, int port);
  void Run();
  // Accepts all that wait. False when the process has no descriptor left.
  bool AcceptAll(int listening);
  void Take(int listening, int fd, const std::string& peer);
  // Whether there is room for the connection, which is in the table then.
  bool Admit(int fd, const std::string& peer);

  const LogSink log_;
  std::string address_;
  std::vector<int> sockets_;
  int wake_;  // readable when the listener ends

  // Of the thread.
  std::unique_ptr<Acceptor> acceptor_;
  int64_t refused_ = 0;
  std::chrono::steady_clock::time_point logged_at_{};

  Mutex mutex_;
  ConnectionTable connections_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

// As many connections as `wanted`, or as the process can have files open, once it has raised that limit as far as it
// may, less a reserve for its own files.
int ConnectionLimit(int wanted);

}  // namespace evenkeel::rpc
