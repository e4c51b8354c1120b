#include "client/reduce/local_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace evenkeel::client {
namespace {

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

absl::StatusOr<Addresses> Resolve(const std::string& host, int socket_type) {
  addrinfo hints = {};
  hints.ai_socktype = socket_type;
  // Of port 9 (discard); to name one makes all resolvers answer alike.
  addrinfo* result = nullptr;
  const int error = getaddrinfo(host.c_str(), "9", &hints, &result);
  if (error != 0) {
    return absl::UnavailableError(absl::StrCat("cannot resolve the host \"", host, "\": ", gai_strerror(error)));
  }
  return Addresses(result, freeaddrinfo);
}

// A socket that closes itself.
class Socket {
 public:
  explicit Socket(const addrinfo& kind) : fd_(socket(kind.ai_family, kind.ai_socktype | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }

 private:
  const int fd_;
};

absl::StatusOr<std::string> Number(const sockaddr* address, socklen_t length) {
  char text[NI_MAXHOST];
  const int error = getnameinfo(address, length, text, sizeof(text), nullptr, 0, NI_NUMERICHOST);
  if (error != 0) return absl::InternalError(absl::StrCat("an address without a number: ", gai_strerror(error)));
  return std::string(text);
}

// The first address of the interface, IPv4 before IPv6; "" where there is no such interface. Link-local addresses of
// IPv6, which mean nothing on other machines, do not count.
absl::StatusOr<std::string> AddressOfInterface(const std::string& interface) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return absl::UnavailableError(absl::StrCat("getifaddrs: ", std::strerror(errno)));
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owned(list, freeifaddrs);
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
      if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != family || interface != entry->ifa_name) continue;
      if (family == AF_INET) return Number(entry->ifa_addr, sizeof(sockaddr_in));
      const auto* address = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      if (!IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) return Number(entry->ifa_addr, sizeof(sockaddr_in6));
    }
  }
  return std::string();
}

// The first address of `host` that this machine has.
absl::StatusOr<std::string> OwnAddressOf(const std::string& host) {
  EVENKEEL_ASSIGN_OR_RETURN(const Addresses addresses, Resolve(host, SOCK_DGRAM));
  for (const addrinfo* entry = addresses.get(); entry != nullptr; entry = entry->ai_next) {
    const Socket socket(*entry);
    sockaddr_storage address = {};
    std::memcpy(&address, entry->ai_addr, entry->ai_addrlen);
    // sin_port and sin6_port share their place: any port.
    reinterpret_cast<sockaddr_in*>(&address)->sin_port = 0;
    if (bind(socket.fd(), reinterpret_cast<sockaddr*>(&address), entry->ai_addrlen) == 0) {
      return Number(entry->ai_addr, entry->ai_addrlen);
    }
  }
  return absl::UnavailableError(absl::StrCat("no address of the host \"", host, "\" is this machine's"));
}

// Asks the kernel by a socket that is connected and sends nothing.
absl::StatusOr<std::string> AddressToward(const std::string& host) {
  EVENKEEL_ASSIGN_OR_RETURN(const Addresses addresses, Resolve(host, SOCK_DGRAM));
  for (const addrinfo* entry = addresses.get(); entry != nullptr; entry = entry->ai_next) {
    const Socket socket(*entry);
    sockaddr_storage own = {};
    socklen_t length = sizeof(own);
    if (connect(socket.fd(), entry->ai_addr, entry->ai_addrlen) == 0 &&
        getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&own), &length) == 0) {
      return Number(reinterpret_cast<sockaddr*>(&own), length);
    }
  }
  return absl::UnavailableError(absl::StrCat("no way from this machine to the host \"", host, "\""));
}

}  // namespace

absl::StatusOr<std::string> LocalAddress(const std::string& interface, const std::string& toward) {
  if (!interface.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(std::string address, AddressOfInterface(interface));
    if (!address.empty()) return address;
    absl::StatusOr<std::string> own = OwnAddressOf(interface);
    if (own.ok()) return own;
    return absl::InvalidArgumentError(absl::StrCat("interface \"", interface, "\" is no network interface with an ",
                                                   "address, and no host name or address of this machine"));
  }
  if (!toward.empty()) return AddressToward(toward);
  char name[HOST_NAME_MAX + 1] = {};
  gethostname(name, sizeof(name) - 1);
  const absl::StatusOr<std::string> own = OwnAddressOf(name);
  return own.ok() ? *own : "127.0.0.1";
}

}  // namespace evenkeel::client
