#include "server/rpc/caller.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "grpc/grpc_security_constants.h"

namespace evenkeel::rpc {
namespace {

std::string TokenOf(const grpc::ServerContextBase& context) {
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) return "";
  absl::string_view value(found->second.data(), found->second.size());
  return absl::ConsumePrefix(&value, "Bearer ") ? std::string(value) : "";
}

}  // namespace

bool IsLocalPeer(absl::string_view peer) {
  // Brackets come escaped.
  constexpr absl::string_view kLocal[] = {
      "ipv4:127.", "ipv6:[::1]:", "ipv6:%5B::1%5D:", "ipv6:[::ffff:127.", "ipv6:%5B::ffff:127.", "unix:"};
  for (const absl::string_view prefix : kLocal) {
    if (absl::StartsWith(peer, prefix)) return true;
  }
  return false;
}

security::Caller CallerOf(const grpc::ServerContextBase& context) {
  security::Caller caller;
  caller.token = TokenOf(context);
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  for (const char* property : {GRPC_PEER_DNS_PROPERTY_NAME, GRPC_PEER_URI_PROPERTY_NAME}) {
    for (const grpc::string_ref& name : auth->FindPropertyValues(property)) {
      caller.sans.emplace_back(name.data(), name.size());
    }
  }
  const auto transport = auth->FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  const bool is_encrypted = !transport.empty() && transport[0] == GRPC_SSL_TRANSPORT_SECURITY_TYPE;
  caller.is_private = is_encrypted || IsLocalPeer(context.peer());
  return caller;
}

}  // namespace evenkeel::rpc
