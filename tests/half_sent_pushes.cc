#include "tests/half_sent_pushes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "base/check.h"

namespace evenkeel::tests {
namespace {

// RFC 9113, section 6.
enum FrameType : uint8_t { kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kWindowUpdate = 8 };
constexpr uint8_t kAck = 1;
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kEndHeaders = 4;
constexpr int64_t kMaxFrame = 16'384;
constexpr size_t kMaxQueued = 1 << 20;

std::string BigEndian(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> 8 * i);
  return text;
}

uint32_t NumberOf(absl::string_view text) {
  uint32_t value = 0;
  for (const char c : text) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

std::string Frame(FrameType type, uint8_t flags, uint32_t stream, const std::string& payload) {
  std::string frame = BigEndian(static_cast<uint32_t>(payload.size()), 3);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  return frame + BigEndian(stream, 4) + payload;
}

// A header field that is spelt out (RFC 7541, section 6.2.2).
std::string Field(const std::string& name, const std::string& value) {
  return std::string(1, '\0') + static_cast<char>(name.size()) + name + static_cast<char>(value.size()) + value;
}

std::string PushHeaders() {
  return Field(":method", "POST") + Field(":scheme", "http") + Field(":path", "/evenkeel.v1.BiasCoordinator/Push") +
         Field(":authority", "x") + Field("te", "trailers") + Field("content-type", "application/grpc");
}

}  // namespace

HalfSentPushes::HalfSentPushes(const std::string& address, int calls, int bytes)
    : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const size_t colon = address.rfind(':');
  int port = 0;
  EVENKEEL_CHECK(absl::SimpleAtoi(address.substr(colon + 1), &port));
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  EVENKEEL_CHECK(inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) == 1);
  EVENKEEL_CHECK(connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0);
  fcntl(socket_, F_SETFL, O_NONBLOCK);
  to_send_ = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, "");
  // Each message says that it is a byte longer than what will come of it.
  const std::string length = std::string(1, '\0') + BigEndian(bytes + 1, 4);
  for (int i = 0; i < calls; ++i) {
    const uint32_t stream = 2 * i + 1;
    to_send_ += Frame(kHeaders, kEndHeaders, stream, PushHeaders()) + Frame(kData, 0, stream, length);
    window_ -= length.size();
    calls_[stream] = {65'535 - static_cast<int64_t>(length.size()), bytes};
  }
}

HalfSentPushes::~HalfSentPushes() { close(socket_); }

bool HalfSentPushes::Go() {
  pollfd polled = {socket_, static_cast<short>(POLLIN | (to_send_.empty() ? 0 : POLLOUT)), 0};
  poll(&polled, 1, /*timeout=*/10);
  Read();
  bool is_done = true;
  for (auto& [stream, call] : calls_) {
    if (to_send_.size() < kMaxQueued) Send(&call, stream);
    is_done &= call.left == 0;
  }
  const ssize_t size = send(socket_, to_send_.data(), to_send_.size(), MSG_NOSIGNAL);
  if (size > 0) to_send_.erase(0, size);
  if (size < 0 && errno != EAGAIN) is_closed_ = true;
  return !is_closed_ && !is_done;
}

void HalfSentPushes::Read() {
  char bytes[65'536];
  for (ssize_t size; (size = recv(socket_, bytes, sizeof(bytes), 0)) != -1; received_.append(bytes, size)) {
    if (size == 0) is_closed_ = true;
    if (size == 0) return;
  }
  if (errno != EAGAIN) is_closed_ = true;
  constexpr size_t kHeader = 9;
  while (received_.size() >= kHeader) {
    const size_t length = NumberOf(absl::string_view(received_).substr(0, 3));
    if (received_.size() < kHeader + length) return;
    const std::string frame = received_.substr(0, kHeader + length);
    received_.erase(0, frame.size());
    OnFrame(frame[3], frame[4], NumberOf(absl::string_view(frame).substr(5, 4)) & 0x7fffffff, frame.substr(kHeader));
  }
}

void HalfSentPushes::OnFrame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
  const auto call = calls_.find(stream);
  if (type == kWindowUpdate) {
    if (stream == 0) window_ += NumberOf(payload);
    if (call != calls_.end()) call->second.window += NumberOf(payload);
  } else if (type == kSettings && (flags & kAck) == 0) {
    OnSettings(payload);
  } else if (type == kPing && (flags & kAck) == 0) {
    to_send_ += Frame(kPing, kAck, 0, payload);
  } else if ((type == kReset || (type == kHeaders && (flags & kEndStream) != 0)) && call != calls_.end()) {
    calls_.erase(call);
    ++refused_;
  }
}

void HalfSentPushes::OnSettings(const std::string& payload) {
  constexpr uint32_t kInitialWindow = 4;
  for (size_t i = 0; i + 6 <= payload.size(); i += 6) {
    if (NumberOf(payload.substr(i, 2)) != kInitialWindow) continue;
    const int64_t window = NumberOf(payload.substr(i + 2, 4));
    for (auto& entry : calls_) entry.second.window += window - initial_window_;
    initial_window_ = window;
  }
  to_send_ += Frame(kSettings, kAck, 0, "");
}

void HalfSentPushes::Send(Call* call, uint32_t stream) {
  const int64_t size = std::min({kMaxFrame, call->window, window_, call->left});
  if (size <= 0) return;
  to_send_ += Frame(kData, 0, stream, std::string(size, 'z'));
  call->window -= size;
  call->left -= size;
  window_ -= size;
  sent_ += size;
}

}  // namespace evenkeel::tests
