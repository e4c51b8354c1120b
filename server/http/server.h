#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/http/route.h"

namespace evenkeel::http {

// Connections that are served at the same time; others wait. One that says nothing is let go after five seconds: it
// takes so many of them to keep a probe waiting.
inline constexpr int kNumThreads = 64;

// Serves routes over HTTP, on threads of its own. Every answer ends its connection, is kept by no cache, and tells
// browsers to take nothing for it from elsewhere, to run no script that stands in it, and to show it in no frame.
class Server {
 public:
  // `address` is host:port, with the name or IPv4 address of a host; port 0 takes a free one. `routes` are tried in
  // their order; what their handlers use outlives the server.
  //   INVALID_ARGUMENT  `address` is not host:port
  //   UNAVAILABLE       naming the address and the cause: it cannot listen there
  static absl::StatusOr<std::unique_ptr<Server>> Start(const std::string& address, std::vector<Route> routes);
  // Stops listening, and waits for the requests that are being answered.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // host:port as bound.
  const std::string& address() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace evenkeel::http
