#include "server/rpc/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/check.h"

namespace evenkeel::rpc {
namespace {

// How long to wait for a file descriptor.
constexpr int kPauseMs = 100;
constexpr auto kBetweenLines = std::chrono::minutes(1);

absl::Status CannotListen(absl::string_view address) {
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", address, "; is the address taken, or not this machine's?"));
}

uint64_t SocketOf(int fd) {
  struct stat entry;
  return fstat(fd, &entry) == 0 && S_ISSOCK(entry.st_mode) ? entry.st_ino : 0;
}

void Set(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof(value)); }

// A socket that listens there; -1 and errno where there can be none.
int ListeningSocket(const addrinfo& info, int port) {
  const int fd = socket(info.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  Set(fd, SOL_SOCKET, SO_REUSEADDR, 1);  // a restart need not wait for the last life's connections
  Set(fd, IPPROTO_TCP, TCP_NODELAY, 1);  // what it accepts inherits it
  sockaddr_storage address = {};
  std::memcpy(&address, info.ai_addr, info.ai_addrlen);
  if (info.ai_family == AF_INET6) {
    Set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    reinterpret_cast<sockaddr_in6*>(&address)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address)->sin_port = htons(port);
  }
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), info.ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  EVENKEEL_CHECK(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

std::string HostOf(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  const void* const bytes = address.ss_family == AF_INET6
                                ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr)
                                : &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr;
  inet_ntop(address.ss_family, bytes, text, sizeof(text));
  return text;
}

}  // namespace

int ConnectionLimit(int wanted) {
  constexpr int64_t kReserve = 128;
  rlimit limit = {};
  EVENKEEL_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  rlimit raised = limit;
  raised.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  const int64_t files = static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 30));
  return static_cast<int>(std::max<int64_t>(1, std::min<int64_t>(wanted, files - kReserve)));
}

Listener::Listener(int max_connections, LogSink log)
    : log_(std::move(log)), wake_(eventfd(0, EFD_CLOEXEC)), connections_(max_connections) {
  EVENKEEL_CHECK(wake_ >= 0);
}

Listener::~Listener() {
  Stop();
  for (const int fd : sockets_) close(fd);
  close(wake_);
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::Open(const std::string& address, int max_connections, LogSink log) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) return CannotListen(address);
  const std::string host = address.substr(0, colon);
  std::unique_ptr<Listener> listener(new Listener(max_connections, std::move(log)));
  if (!listener->Bind(host, port).ok()) return CannotListen(address);
  listener->address_ = absl::StrCat(host, ":", PortOf(listener->sockets_[0]));
  return listener;
}

absl::Status Listener::Bind(const std::string& host, int port) {
  const std::string name(absl::StripSuffix(absl::StripPrefix(host, "["), "]"));
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return CannotListen(host);
  bool is_taken = false;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
    // A name with several addresses ("localhost") has one port on all of them; those that this machine does not have
    // are left out.
    const int fd = ListeningSocket(*info, sockets_.empty() ? port : PortOf(sockets_[0]));
    if (fd >= 0) sockets_.push_back(fd);
    if (fd < 0 && errno == EADDRINUSE) is_taken = true;
  }
  freeaddrinfo(found);
  return is_taken || sockets_.empty() ? CannotListen(host) : absl::OkStatus();
}

void Listener::Start(std::unique_ptr<Acceptor> acceptor) {
  acceptor_ = std::move(acceptor);
  thread_ = std::thread([this] { Run(); });
}

void Listener::Stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  EVENKEEL_CHECK(write(wake_, &one, sizeof(one)) == sizeof(one));
  thread_.join();
}

void Listener::Run() {
  std::vector<pollfd> polled = {{wake_, POLLIN, 0}};
  for (const int fd : sockets_) polled.push_back({fd, POLLIN, 0});
  bool has_descriptors = true;
  while (true) {
    // Without a descriptor left a socket stays readable: then only the end is waited for, and the time.
    poll(polled.data(), has_descriptors ? polled.size() : 1, has_descriptors ? -1 : kPauseMs);
    if (polled[0].revents != 0) return;
    has_descriptors = true;
    for (const int fd : sockets_) has_descriptors &= AcceptAll(fd);
  }
}

bool Listener::AcceptAll(int listening) {
  while (true) {
    sockaddr_storage address = {};
    socklen_t size = sizeof(address);
    const int fd = accept4(listening, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      Take(listening, fd, HostOf(address));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      return false;
    }
    // Anything else is one connection's misfortune.
  }
}

void Listener::Take(int listening, int fd, const std::string& peer) {
  if (Admit(fd, peer)) {
    Acceptor::NewConnectionParameters connection;
    connection.listener_fd = listening;
    connection.fd = fd;
    acceptor_->HandleNewConnection(&connection);
    return;
  }
  close(fd);
  ++refused_;
  const auto now = std::chrono::steady_clock::now();
  if (now - logged_at_ < kBetweenLines) return;
  logged_at_ = now;
  log_(WarningEvent("connection_refused", absl::StrCat("refused a connection of ", peer, ": ", CountOpen(),
                                                       " are open; refused so far: ", refused_)));
}

bool Listener::Admit(int fd, const std::string& peer) {
  MutexLock lock(&mutex_);
  if (!connections_.HasRoom(peer, SocketOf)) return false;
  connections_.Add(fd, SocketOf(fd), peer);
  return true;
}

int Listener::CountOpen() {
  MutexLock lock(&mutex_);
  return connections_.CountOpen(SocketOf);
}

}  // namespace evenkeel::rpc
