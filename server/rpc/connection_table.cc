#include "server/rpc/connection_table.h"

#include <iterator>

namespace evenkeel::rpc {

bool ConnectionTable::IsFullFor(const std::string& peer) const {
  const auto found = of_peer_.find(peer);
  return size() >= most_ || (found != of_peer_.end() && found->second >= most_of_a_peer_);
}

bool ConnectionTable::HasRoom(const std::string& peer, SocketOf socket_of) {
  if (!IsFullFor(peer)) return true;
  ForgetClosed(socket_of);
  return !IsFullFor(peer);
}

int ConnectionTable::CountOpen(SocketOf socket_of) {
  ForgetClosed(socket_of);
  return size();
}

void ConnectionTable::ForgetClosed(SocketOf socket_of) {
  for (auto connection = connections_.begin(); connection != connections_.end();) {
    const auto next = std::next(connection);
    if (socket_of(connection->first) != connection->second.socket) Forget(connection);
    connection = next;
  }
}

void ConnectionTable::Add(int fd, uint64_t socket, const std::string& peer) {
  const auto before = connections_.find(fd);
  if (before != connections_.end()) Forget(before);
  connections_[fd] = {socket, peer};
  ++of_peer_[peer];
}

void ConnectionTable::Forget(std::unordered_map<int, Connection>::iterator connection) {
  const auto peer = of_peer_.find(connection->second.peer);
  if (--peer->second == 0) of_peer_.erase(peer);
  connections_.erase(connection);
}

}  // namespace evenkeel::rpc
