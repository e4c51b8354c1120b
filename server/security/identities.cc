#include "server/security/identities.h"

#include <algorithm>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "config/text.h"

namespace evenkeel::security {
namespace {

using Role = v1::Identity::Role;

absl::Status Refused(const v1::Identity& identity, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("identity \"", absl::CHexEscape(identity.name()), "\": ", why));
}

absl::Status CheckQuota(const v1::Identity& identity) {
  constexpr int64_t kMost = int64_t{1} << 60;
  const v1::Quota& quota = identity.quota();
  const struct {
    const char* field;
    bool given;
    int64_t value;
  } fields[] = {
      {"max_jobs", quota.has_max_jobs(), quota.max_jobs()},
      {"max_layers", quota.has_max_layers(), quota.max_layers()},
      {"max_experts", quota.has_max_experts(), quota.max_experts()},
      {"max_ranks", quota.has_max_ranks(), quota.max_ranks()},
      {"requests_per_second", quota.has_requests_per_second(), quota.requests_per_second()},
      {"bytes_per_second", quota.has_bytes_per_second(), quota.bytes_per_second()},
  };
  for (const auto& field : fields) {
    if (!field.given || (field.value >= 1 && field.value <= kMost)) continue;
    return Refused(identity, absl::StrCat("quota.", field.field, " is ", field.value, "; 1 to 2^60"));
  }
  return absl::OkStatus();
}

absl::Status CheckIdentity(const v1::Identity& identity) {
  if (identity.token_sha256().empty() && identity.san().empty()) {
    return Refused(identity, "has neither token_sha256 nor san; nobody could be it");
  }
  if (identity.role() == Role::KIND_UNSPECIFIED)
    return Refused(identity, "role is not set; WORKER, OPERATOR or READER");
  if (identity.role() != Role::OPERATOR && identity.jobs().empty()) {
    return Refused(identity, "has no jobs; give patterns of names, \"*\" for all");
  }
  for (const auto* texts : {&identity.san(), &identity.jobs()}) {
    for (const std::string& text : *texts) {
      if (text.empty()) return Refused(identity, texts == &identity.jobs() ? "a job is empty" : "a san is empty");
    }
  }
  return CheckQuota(identity);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Identities>> Identities::Of(const v1::Identities& file) {
  std::shared_ptr<Identities> result(new Identities(file));
  std::set<std::string> names;
  std::set<std::string> sans;
  std::set<TokenHash> hashes;
  for (const v1::Identity& identity : result->file_.identities()) {
    if (identity.name().empty()) return absl::InvalidArgumentError("an identity has no name");
    if (!names.insert(identity.name()).second) return Refused(identity, "the name is there twice");
    EVENKEEL_RETURN_IF_ERROR(CheckIdentity(identity));
    for (const std::string& san : identity.san()) {
      if (!sans.insert(san).second) return Refused(identity, absl::StrCat("san \"", san, "\" is there twice"));
    }
    for (const std::string& hex : identity.token_sha256()) {
      const absl::StatusOr<TokenHash> hash = HashFromHex(hex);
      if (!hash.ok()) return Refused(identity, absl::StrCat("token_sha256: ", hash.status().message()));
      if (!hashes.insert(*hash).second) return Refused(identity, absl::StrCat("token_sha256 ", hex, " is there twice"));
      result->tokens_.emplace_back(*hash, &identity);
    }
  }
  return result;
}

absl::StatusOr<std::shared_ptr<const Identities>> Identities::Read(const std::string& path) {
  v1::Identities file;
  EVENKEEL_RETURN_IF_ERROR(config::ParseFile(path, &file));
  absl::StatusOr<std::shared_ptr<const Identities>> identities = Of(file);
  if (identities.ok()) return identities;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", identities.status().message()));
}

const v1::Identity* Identities::WithToken(absl::string_view token) const {
  const TokenHash hash = HashOf(token);
  const v1::Identity* found = nullptr;
  for (const auto& [known, identity] : tokens_) {
    if (SameHash(known, hash)) found = identity;
  }
  return found;
}

const v1::Identity* Identities::WithSan(const std::vector<std::string>& sans) const {
  for (const v1::Identity& identity : file_.identities()) {
    for (const std::string& san : identity.san()) {
      if (std::find(sans.begin(), sans.end(), san) != sans.end()) return &identity;
    }
  }
  return nullptr;
}

}  // namespace evenkeel::security
