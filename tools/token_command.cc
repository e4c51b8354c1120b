#include "tools/token_command.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/security/token.h"
#include "tools/coordinator_call.h"
#include "tools/flags.h"

namespace evenkeel::tools {
namespace {

const std::string& Help() {
  static const std::string& help = *new std::string(absl::StrCat(
      R"(evenkeel token: makes a token, by which a worker or a person shows a coordinator who they are.

  evenkeel token

Writes two lines: the token, which goes into a file that only its owner can read, and its SHA-256, which goes into the
coordinator's identities file (doc/operations.md). The token cannot be had from the hash, and is not kept anywhere.

Commands that call a coordinator show it, and certificates, by:

)",
      kCredentialsHelp, R"(
Example:

  evenkeel token
  evenkeel status --coordinator trainer-0:7411 --tls-ca ca.pem --token-file ~/.evenkeel/token
)"));
  return help;
}

int Run(Args args, Streams streams) {
  const absl::Status usage = ParseFlags(args, {});
  if (!usage.ok()) return RefuseUsage("token", usage, streams.err);
  const std::string token = security::NewToken();
  streams.out << "token: " << token << "\ntoken_sha256: " << security::HexOf(security::HashOf(token)) << "\n";
  return kExitOk;
}

}  // namespace

const Command kTokenCommand = {"token", "makes a token, and the hash by which a coordinator knows it", Help(), Run};

}  // namespace evenkeel::tools
