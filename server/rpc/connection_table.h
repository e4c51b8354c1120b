#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "absl/functional/function_ref.h"

namespace evenkeel::rpc {

// Which connections are open, of those that were given away: whoever has them closes them and does not say so. A
// connection is known by its file descriptor and the socket's number, which tells it from a later one with the same
// descriptor. Not thread-safe.
class ConnectionTable {
 public:
  // At most so many at once, and half of that, but at least one, from one peer address.
  explicit ConnectionTable(int most) : most_(most), most_of_a_peer_(most / 2 < 1 ? 1 : most / 2) {}

  // The number of the socket that a descriptor is; 0 where it is none.
  using SocketOf = absl::FunctionRef<uint64_t(int fd)>;

  // Whether there is room for one more of `peer`; asks which are still open when there seems to be none.
  bool HasRoom(const std::string& peer, SocketOf socket_of);
  void Add(int fd, uint64_t socket, const std::string& peer);

  // Those that are still open.
  int CountOpen(SocketOf socket_of);

  int size() const { return static_cast<int>(connections_.size()); }

 private:
  struct Connection {
    uint64_t socket;
    std::string peer;
  };

  void ForgetClosed(SocketOf socket_of);
  bool IsFullFor(const std::string& peer) const;
  void Forget(std::unordered_map<int, Connection>::iterator connection);

  const int most_;
  const int most_of_a_peer_;
  std::unordered_map<int, Connection> connections_;
  std::unordered_map<std::string, int> of_peer_;
};

}  // namespace evenkeel::rpc
