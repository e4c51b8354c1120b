#include "tests/soak/connection_cutter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>

namespace evenkeel::soak {
namespace {

// 0: the file is no connection.
int PeerPort(int file) {
  sockaddr_storage peer = {};
  socklen_t size = sizeof(peer);
  if (getpeername(file, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return 0;
  if (peer.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&peer)->sin_port);
  if (peer.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&peer)->sin6_port);
  return 0;
}

}  // namespace

int CutConnectionsTo(int port, int one_in) {
  int met = 0;
  int cut = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", gone)) {
    const int file = std::atoi(entry.path().filename().c_str());
    if (PeerPort(file) != port || met++ % one_in != 0) continue;
    cut += shutdown(file, SHUT_RDWR) == 0;
  }
  return cut;
}

}  // namespace evenkeel::soak
