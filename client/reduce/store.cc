#include "client/reduce/store.h"

#include <sys/stat.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "client/reduce/coordinator_rendezvous.h"
#include "client/reduce/file_rendezvous.h"
#include "client/reduce/tcp_rendezvous.h"

namespace evenkeel::client {
namespace {

constexpr absl::string_view kFile = "file://";
constexpr absl::string_view kTcp = "tcp://";

absl::Status Refused(const std::string& store, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("store \"", store, "\" ", why,
                                                 "; it must be file:///folder, tcp://host:port or a coordinator's "
                                                 "host:port"));
}

absl::Status CheckFolder(const std::string& store, const std::string& folder) {
  if (!absl::StartsWith(folder, "/")) return Refused(store, "names no absolute path");
  struct stat entry;
  if (stat(folder.c_str(), &entry) != 0 || !S_ISDIR(entry.st_mode)) return Refused(store, "is no folder on this host");
  return absl::OkStatus();
}

absl::Status CheckHostAndPort(const std::string& store, absl::string_view address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || colon == 0) return Refused(store, "names no host and port");
  if (!absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 || port > 65'535) {
    return Refused(store, "names no port from 1 to 65535");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Rendezvous>> MakeRendezvous(const std::string& store, const GroupPlace& place,
                                                           uint64_t incarnation, const Credentials& credentials) {
  absl::string_view rest = store;
  if (absl::ConsumePrefix(&rest, kFile)) {
    const std::string folder(rest);
    EVENKEEL_RETURN_IF_ERROR(CheckFolder(store, folder));
    return std::make_unique<FileRendezvous>(folder, place, incarnation);
  }
  const bool first_rank_serves = absl::ConsumePrefix(&rest, kTcp);
  const std::string address(rest);
  EVENKEEL_RETURN_IF_ERROR(CheckHostAndPort(store, address));
  if (first_rank_serves) return TcpRendezvous::Create(address, place, incarnation);
  EVENKEEL_RETURN_IF_ERROR(CheckCredentials(credentials, address));
  CoordinatorRendezvousOptions options;
  options.credentials = credentials;
  return std::make_unique<CoordinatorRendezvous>(address, place, incarnation, options);
}

std::string HostOf(const std::string& store) {
  absl::string_view rest = store;
  if (absl::StartsWith(rest, kFile)) return "";
  absl::ConsumePrefix(&rest, kTcp);
  rest = rest.substr(0, rest.rfind(':'));
  // An IPv6 address stands in brackets.
  if (absl::ConsumePrefix(&rest, "[")) absl::ConsumeSuffix(&rest, "]");
  return std::string(rest);
}

}  // namespace evenkeel::client
