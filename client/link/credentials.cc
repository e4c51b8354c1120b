#include "client/link/credentials.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "config/text_file.h"

namespace evenkeel::client {
namespace {

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "[::1]" || absl::StartsWith(host, "127.");
}

absl::StatusOr<std::string> Read(absl::string_view option, const std::string& path) {
  absl::StatusOr<std::string> text = config::ReadTextFile(path);
  if (text.ok()) return text;
  return absl::Status(text.status().code(), absl::StrCat(option, ": ", text.status().message()));
}

// A header holds printable ASCII only, and a token is one word of it.
absl::StatusOr<std::string> Word(absl::string_view option, absl::string_view text) {
  const absl::string_view word = absl::StripAsciiWhitespace(text);
  for (const char c : word) {
    if (!absl::ascii_isgraph(c)) return absl::InvalidArgumentError(absl::StrCat(option, " is not one word of ASCII"));
  }
  if (word.empty()) return absl::InvalidArgumentError(absl::StrCat(option, " is empty"));
  return std::string(word);
}

}  // namespace

absl::Status CheckCredentials(const Credentials& credentials, const std::string& coordinator) {
  const TlsOptions& tls = credentials.tls;
  if (tls.certificate.empty() != tls.private_key.empty()) {
    return absl::InvalidArgumentError(tls.certificate.empty() ? "tls.private_key is set, and tls.certificate is not"
                                                              : "tls.certificate is set, and tls.private_key is not");
  }
  if (tls.ca.empty() && !(tls.certificate.empty() && tls.server_name.empty())) {
    return absl::InvalidArgumentError("tls.ca is not set; TLS needs the CA of the coordinator's certificate");
  }
  if (!credentials.token.empty() && !credentials.token_file.empty()) {
    return absl::InvalidArgumentError("token and token_file are both set; one is enough");
  }
  EVENKEEL_RETURN_IF_ERROR(ReadChannelCredentials(tls).status());
  EVENKEEL_ASSIGN_OR_RETURN(const std::string authorization, Authorization(credentials));
  const absl::string_view host = absl::string_view(coordinator).substr(0, coordinator.rfind(':'));
  if (authorization.empty() || !tls.ca.empty() || IsLoopback(host)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the token would go to ", coordinator, " over a connection that is not encrypted; set tls.ca"));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ReadChannelCredentials(const TlsOptions& tls) {
  if (tls.ca.empty()) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  EVENKEEL_ASSIGN_OR_RETURN(ssl.pem_root_certs, Read("tls.ca", tls.ca));
  if (!tls.certificate.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(ssl.pem_cert_chain, Read("tls.certificate", tls.certificate));
    EVENKEEL_ASSIGN_OR_RETURN(ssl.pem_private_key, Read("tls.private_key", tls.private_key));
  }
  return grpc::SslCredentials(ssl);
}

std::vector<FileStamp> StampsOf(const TlsOptions& tls) {
  return {StampOf(tls.ca), StampOf(tls.certificate), StampOf(tls.private_key)};
}

absl::StatusOr<std::string> Authorization(const Credentials& credentials) {
  if (credentials.token.empty() && credentials.token_file.empty()) return "";
  std::string text = credentials.token;
  const absl::string_view option = text.empty() ? "token_file" : "token";
  if (text.empty()) {
    EVENKEEL_ASSIGN_OR_RETURN(text, Read(option, credentials.token_file));
  }
  EVENKEEL_ASSIGN_OR_RETURN(const std::string token, Word(option, text));
  return absl::StrCat("Bearer ", token);
}

}  // namespace evenkeel::client
