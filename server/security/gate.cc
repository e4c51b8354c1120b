#include "server/security/gate.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/error_detail.h"
#include "base/status_macros.h"

namespace evenkeel::security {
namespace {

absl::Status NotKnown(absl::string_view why) {
  return ServiceError(absl::StatusCode::kUnauthenticated, v1::ErrorDetail::NOT_KNOWN, why);
}

}  // namespace

void Gate::SetIdentities(std::shared_ptr<const Identities> identities) {
  MutexLock lock(&mutex_);
  identities_ = std::move(identities);
  std::map<std::string, Use> before = std::exchange(uses_, {});
  if (identities_ == nullptr) return;
  for (const v1::Identity& identity : identities_->all()) {
    if (!identity.has_quota()) continue;
    const std::string quota = identity.quota().SerializeAsString();
    const auto kept = before.find(identity.name());
    const bool is_same = kept != before.end() && kept->second.quota == quota;
    uses_.emplace(identity.name(), is_same ? std::move(kept->second) : Use{quota, QuotaUse(identity)});
  }
}

bool Gate::AsksWhoCalls() {
  MutexLock lock(&mutex_);
  return identities_ != nullptr;
}

absl::StatusOr<Pass> Gate::Recognise(const Caller& caller) {
  Pass pass;
  pass.owner_ = identities_;
  if (identities_ == nullptr) return pass;
  if (!caller.token.empty()) {
    if (!caller.is_private) {
      return NotKnown(
          "the token came over a connection that is not encrypted: whoever was on the way has it now; "
          "replace it, and use TLS");
    }
    pass.identity_ = identities_->WithToken(caller.token);
    if (pass.identity_ == nullptr) return NotKnown("the token is not known here");
    return pass;
  }
  pass.identity_ = identities_->WithSan(caller.sans);
  if (pass.identity_ != nullptr) return pass;
  return NotKnown(caller.sans.empty()
                      ? "the call brings neither a token nor a certificate; this coordinator asks who calls"
                      : "the call brings no token, and no name of its certificate is known here");
}

absl::StatusOr<Pass> Gate::Admit(const Caller& caller, Method method, absl::string_view job, size_t bytes, Time now) {
  std::string line;
  absl::StatusOr<Pass> pass;
  {
    MutexLock lock(&mutex_);
    pass = Recognise(caller);
    absl::Status status = pass.status();
    if (status.ok() && pass->identity_ != nullptr) {
      status = Decide(*pass->identity_, method, job);
      QuotaUse* const use = UseOf(*pass);
      if (status.ok() && use != nullptr) status = use->Call(bytes, now);
    }
    if (status.ok()) return pass;
    if (MayLog(now)) {
      line = absl::StrCat("refused ", NameOf(method), ": ", status.message());
      if (unlogged_ > 0) absl::StrAppend(&line, "; and ", unlogged_, " other calls since the last such line");
      unlogged_ = 0;
    } else {
      ++unlogged_;
    }
    pass = status;
  }
  if (!line.empty()) log_(WarningEvent("call_refused", std::move(line)));
  return pass;
}

bool Gate::MayLog(Time now) { return lines_.Take(1, now) == 0; }

QuotaUse* Gate::UseOf(const Pass& pass) {
  if (pass.identity_ == nullptr) return nullptr;
  const auto found = uses_.find(pass.identity_->name());
  return found == uses_.end() ? nullptr : &found->second.use;
}

absl::Status Gate::BeginJoin(const Pass& pass, const v1::JobSpec& job) {
  MutexLock lock(&mutex_);
  QuotaUse* const use = UseOf(pass);
  if (use == nullptr) return absl::OkStatus();
  EVENKEEL_RETURN_IF_ERROR(use->CheckShape(job));
  return use->BeginJoin(job.name());
}

void Gate::EndJoin(const Pass& pass, const std::string& job, bool joined) {
  MutexLock lock(&mutex_);
  if (QuotaUse* const use = UseOf(pass); use != nullptr) use->EndJoin(job, joined);
}

bool Gate::IsFullFor(const Pass& pass, const std::string& job) {
  MutexLock lock(&mutex_);
  QuotaUse* const use = UseOf(pass);
  return use != nullptr && use->IsFullFor(job);
}

void Gate::KeepOnly(const Pass& pass, const std::vector<std::string>& jobs) {
  MutexLock lock(&mutex_);
  if (QuotaUse* const use = UseOf(pass); use != nullptr) use->KeepOnly(jobs);
}

}  // namespace evenkeel::security
