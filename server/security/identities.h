#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "evenkeel/v1/identities.pb.h"
#include "server/security/token.h"

namespace evenkeel::security {

// Who is known to a coordinator: what an identities file holds, checked. Immutable, and so thread-safe.
class Identities {
 public:
  // INVALID_ARGUMENT, naming identity, field and value: a name that is missing or taken; neither token nor SAN; a token
  // hash that is none, or a token or SAN of two identities; no role; no jobs where there must be some; a quota below 1,
  // or above 2^60.
  static absl::StatusOr<std::shared_ptr<const Identities>> Of(const v1::Identities& file);
  // Of the file at `path`. Also its reader's errors.
  static absl::StatusOr<std::shared_ptr<const Identities>> Read(const std::string& path);

  // Null where nobody has it. Takes as long for one token as for another.
  const v1::Identity* WithToken(absl::string_view token) const;
  // The first identity in the file's order that has one of these names, or null.
  const v1::Identity* WithSan(const std::vector<std::string>& sans) const;

  const google::protobuf::RepeatedPtrField<v1::Identity>& all() const { return file_.identities(); }

 private:
  explicit Identities(const v1::Identities& file) : file_(file) {}

  const v1::Identities file_;
  std::vector<std::pair<TokenHash, const v1::Identity*>> tokens_;
};

}  // namespace evenkeel::security
