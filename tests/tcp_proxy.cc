#include "tests/tcp_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace evenkeel::tests {
namespace {

// What may wait on the way, of one connection in one direction.
constexpr size_t kMaxHeld = 1 << 20;
constexpr size_t kReadBytes = 16 << 10;
// A throttled connection writes so often.
constexpr std::chrono::milliseconds kThrottleTick(10);

sockaddr_in AddressOf(const std::string& address) {
  const std::vector<std::string> parts = absl::StrSplit(address, ':');
  EVENKEEL_CHECK(parts.size() == 2);
  sockaddr_in place = {};
  place.sin_family = AF_INET;
  place.sin_port = htons(static_cast<uint16_t>(std::stoi(parts[1])));
  EVENKEEL_CHECK(inet_pton(AF_INET, parts[0].c_str(), &place.sin_addr) == 1);
  return place;
}

void SendAtOnce(int fd) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

// Connected, or about to be; who reads from it hears when it cannot be.
int ConnectTo(const std::string& target) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  EVENKEEL_CHECK(fd >= 0);
  SendAtOnce(fd);
  const sockaddr_in place = AddressOf(target);
  (void)!connect(fd, reinterpret_cast<const sockaddr*>(&place), sizeof(place));
  return fd;
}

void CloseWith(TcpProxy::End end, int* fd) {
  if (*fd < 0) return;
  const linger at_once = {1, 0};
  if (end == TcpProxy::End::kReset) setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  close(*fd);
  *fd = -1;
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK; }

}  // namespace

TcpProxy::TcpProxy(const std::string& target)
    : listening_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      target_(target) {
  sockaddr_in place = AddressOf("127.0.0.1:0");
  socklen_t size = sizeof(place);
  EVENKEEL_CHECK(bind(listening_, reinterpret_cast<const sockaddr*>(&place), size) == 0);
  EVENKEEL_CHECK(listen(listening_, SOMAXCONN) == 0);
  EVENKEEL_CHECK(getsockname(listening_, reinterpret_cast<sockaddr*>(&place), &size) == 0);
  address_ = absl::StrCat("127.0.0.1:", ntohs(place.sin_port));
  thread_ = std::thread([this] { Run(); });
}

TcpProxy::~TcpProxy() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  eventfd_write(wake_, 1);
  thread_.join();
  for (Connection& connection : connections_) {
    for (int& fd : connection.sockets) CloseWith(End::kReset, &fd);
  }
  close(listening_);
  close(wake_);
}

// ---------------------------------------------------------------------------------------------------------------------
// What a test asks for

void TcpProxy::Do(const std::function<void()>& command) {
  MutexLock lock(&mutex_);
  commands_.push_back(command);
  const int64_t ticket = ++asked_;
  eventfd_write(wake_, 1);
  while (done_ < ticket) changed_.Wait(&mutex_);
}

void TcpProxy::SetTarget(const std::string& target) {
  Do([&] { target_ = target; });
}

int TcpProxy::Cut(End end, Told told) {
  int cut = 0;
  Do([&] {
    for (Connection& connection : connections_) {
      const bool is_whole = connection.sockets[kToServer] >= 0 && connection.sockets[kToClient] >= 0;
      cut += is_whole;
      connection.forsaken = true;
      if (told == Told::kBoth || (is_whole && told == Told::kOnlyClient))
        CloseWith(end, &connection.sockets[kToServer]);
      if (told == Told::kBoth || (is_whole && told == Told::kOnlyServer))
        CloseWith(end, &connection.sockets[kToClient]);
    }
  });
  return cut;
}

void TcpProxy::CutAfter(Direction direction, int64_t bytes, End end) {
  EVENKEEL_CHECK(bytes > 0);
  Do([&] {
    ways_[direction].cut_after = bytes;
    ways_[direction].cut_end = end;
  });
}

void TcpProxy::Delay(Direction direction, std::chrono::milliseconds delay) {
  Do([&] { ways_[direction].delay = delay; });
}

void TcpProxy::Throttle(Direction direction, int64_t bytes_per_second) {
  Do([&] { ways_[direction].bytes_per_second = bytes_per_second; });
}

void TcpProxy::Block(Direction direction) {
  Do([&] { ways_[direction].blocked = true; });
}

int TcpProxy::Forsake() {
  int forsaken = 0;
  Do([&] {
    for (Connection& connection : connections_) {
      forsaken += !connection.forsaken;
      connection.forsaken = true;
    }
  });
  return forsaken;
}

void TcpProxy::Heal() {
  Do([&] {
    for (Way& way : ways_) way = Way();
    for (Connection& connection : connections_) {
      for (Flow& flow : connection.flows) {
        flow.next_write = {};
        for (Held& held : flow.held) held.due = {};
      }
    }
  });
}

TcpProxy::Tally TcpProxy::tally() {
  Tally tally;
  Do([&] {
    tally = tally_;
    tally.open = std::count_if(connections_.begin(), connections_.end(),
                               [](const Connection& connection) { return !connection.forsaken; });
  });
  return tally;
}

// ---------------------------------------------------------------------------------------------------------------------
// The thread

bool TcpProxy::MayRead(const Connection& connection, int direction) const {
  const Flow& flow = connection.flows[direction];
  return !connection.forsaken && !ways_[direction].blocked && !flow.has_ended && flow.held_bytes < kMaxHeld;
}

bool TcpProxy::MayWrite(const Connection& connection, int direction) const {
  const Flow& flow = connection.flows[direction];
  return !connection.forsaken && !ways_[direction].blocked && !flow.held.empty();
}

int TcpProxy::TimeoutMs() const {
  Clock::time_point next = Clock::time_point::max();
  for (const Connection& connection : connections_) {
    for (int direction : {kToServer, kToClient}) {
      const Flow& flow = connection.flows[direction];
      if (!MayWrite(connection, direction) || flow.is_full) continue;
      next = std::min(next, std::max(flow.held.front().due, flow.next_write));
    }
  }
  if (next == Clock::time_point::max()) return -1;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
  return static_cast<int>(std::max<int64_t>(0, wait.count()));
}

void TcpProxy::RunCommands() {
  eventfd_t ignored = 0;
  (void)!eventfd_read(wake_, &ignored);
  MutexLock lock(&mutex_);
  for (; !commands_.empty(); commands_.pop_front(), ++done_) commands_.front()();
  changed_.NotifyAll();
}

void TcpProxy::Run() {
  while (true) {
    std::vector<pollfd> polled = {{wake_, POLLIN, 0}, {listening_, POLLIN, 0}};
    for (const Connection& connection : connections_) {
      for (int direction : {kToServer, kToClient}) {
        const Flow& flow = connection.flows[direction];
        const bool passes = !connection.forsaken && !ways_[direction].blocked;
        short events = 0;
        if (MayRead(connection, direction)) events |= POLLIN;
        if (!passes && !flow.is_left) events |= POLLRDHUP;
        if (MayWrite(connection, 1 - direction) && connection.flows[1 - direction].is_full) events |= POLLOUT;
        // A socket of which nothing is asked would report its end for ever.
        if (events != 0 && connection.sockets[direction] >= 0) {
          polled.push_back({connection.sockets[direction], events, 0});
        }
      }
    }
    poll(polled.data(), polled.size(), TimeoutMs());
    // What has come is passed on before what a test asks for is done: a call thus sees what was sent before it.
    for (auto connection = connections_.begin(); connection != connections_.end();) {
      if (Serve(&*connection)) {
        ++connection;
        continue;
      }
      for (int& fd : connection->sockets) CloseWith(End::kReset, &fd);
      connection = connections_.erase(connection);
    }
    Accept();
    RunCommands();
    MutexLock lock(&mutex_);
    if (stopping_) return;
  }
}

void TcpProxy::Accept() {
  while (true) {
    int client = accept4(listening_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    ++tally_.accepted;
    if (target_.empty()) {
      CloseWith(End::kReset, &client);
      continue;
    }
    SendAtOnce(client);
    Connection& connection = connections_.emplace_back();
    connection.sockets[kToServer] = client;
    connection.sockets[kToClient] = ConnectTo(target_);
  }
}

bool TcpProxy::Serve(Connection* connection) {
  for (int direction : {kToServer, kToClient}) {
    if (MayRead(*connection, direction) && !Read(connection, direction)) return false;
    if (connection->forsaken || ways_[direction].blocked) {
      if (!Notice(connection, direction)) return false;
      continue;
    }
    if (!Write(connection, direction)) return false;
    Flow& flow = connection->flows[direction];
    if (flow.has_ended && flow.held.empty() && !flow.is_finished) {
      shutdown(connection->sockets[1 - direction], SHUT_WR);
      flow.is_finished = true;
    }
  }
  return !connection->flows[kToServer].is_finished || !connection->flows[kToClient].is_finished;
}

void TcpProxy::CountEnd(Connection* connection, int direction) {
  if (std::exchange(connection->flows[direction].is_left, true)) return;
  ++(direction == kToServer ? tally_.ended_by_client : tally_.ended_by_server);
}

bool TcpProxy::Read(Connection* connection, int direction) {
  Flow& flow = connection->flows[direction];
  char buffer[kReadBytes];
  while (flow.held_bytes < kMaxHeld) {
    const ssize_t size = recv(connection->sockets[direction], buffer, sizeof(buffer), 0);
    if (size < 0 && WouldBlock()) return true;
    if (size <= 0) {
      CountEnd(connection, direction);
      flow.has_ended = true;
      return size == 0;
    }
    flow.held.push_back({Clock::now() + ways_[direction].delay, std::string(buffer, size)});
    flow.held_bytes += size;
  }
  return true;
}

bool TcpProxy::Write(Connection* connection, int direction) {
  Flow& flow = connection->flows[direction];
  Way& way = ways_[direction];
  flow.is_full = false;
  while (!flow.held.empty()) {
    const Clock::time_point now = Clock::now();
    Held& next = flow.held.front();
    if (next.due > now || flow.next_write > now) return true;
    int64_t size = static_cast<int64_t>(next.bytes.size());
    if (way.bytes_per_second > 0) {
      size = std::min(size, std::max<int64_t>(1, way.bytes_per_second * kThrottleTick.count() / 1000));
    }
    if (way.cut_after >= 0) size = std::min(size, way.cut_after);
    const ssize_t sent = send(connection->sockets[1 - direction], next.bytes.data(), size, MSG_NOSIGNAL);
    if (sent < 0) {
      flow.is_full = WouldBlock();
      return flow.is_full;
    }
    next.bytes.erase(0, sent);
    flow.held_bytes -= sent;
    tally_.bytes[direction] += sent;
    if (next.bytes.empty()) flow.held.pop_front();
    if (way.bytes_per_second > 0)
      flow.next_write = now + std::chrono::microseconds(sent * 1'000'000 / way.bytes_per_second);
    if (way.cut_after < 0) continue;
    way.cut_after -= sent;
    if (way.cut_after > 0) continue;
    way.cut_after = -1;
    ++tally_.cut_within;
    for (int& fd : connection->sockets) CloseWith(way.cut_end, &fd);
    return false;
  }
  return true;
}

bool TcpProxy::Notice(Connection* connection, int direction) {
  pollfd end = {connection->sockets[direction], POLLRDHUP, 0};
  if (end.fd >= 0 && poll(&end, 1, 0) > 0) CountEnd(connection, direction);
  if (!connection->forsaken) return true;
  const auto is_left = [&](int side) { return connection->sockets[side] < 0 || connection->flows[side].is_left; };
  return !is_left(kToServer) || !is_left(kToClient);
}

}  // namespace evenkeel::tests
