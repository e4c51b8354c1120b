#include "job/same_shape.h"

#include <algorithm>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/util/message_differencer.h"

namespace evenkeel::job {
namespace {

template <typename... Words>
absl::Status Differs(const std::string& layer, const Words&... words) {
  return absl::InvalidArgumentError(absl::StrCat("layer \"", absl::CHexEscape(layer), "\" ", words...));
}

absl::Status CheckNumber(const std::string& layer, const char* field, int ours, int theirs) {
  if (ours == theirs) return absl::OkStatus();
  return Differs(layer, "has ", field, " ", ours, " in the job and ", theirs, " in the state");
}

// What the bias is added to, and all else that decides who is chosen by it.
absl::Status CheckRoute(const v1::LayerSpec& ours, const v1::LayerSpec& theirs) {
  if (!ours.has_route() || !theirs.has_route()) return absl::OkStatus();
  std::string report;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&report);
  if (differencer.Compare(ours.route(), theirs.route())) return absl::OkStatus();
  return Differs(ours.name(), "is routed another way than in the state: ", report.substr(0, report.find('\n')));
}

absl::Status CheckLayer(const v1::LayerSpec& ours, const v1::LayerSpec& theirs) {
  const std::string& name = ours.name();
  EVENKEEL_RETURN_IF_ERROR(CheckNumber(name, "num_experts", ours.num_experts(), theirs.num_experts()));
  EVENKEEL_RETURN_IF_ERROR(CheckNumber(name, "top_k", ours.top_k(), theirs.top_k()));
  EVENKEEL_RETURN_IF_ERROR(CheckNumber(name, "streams", std::max(ours.streams(), 1), std::max(theirs.streams(), 1)));
  EVENKEEL_RETURN_IF_ERROR(CheckNumber(name, "accumulator", ours.accumulator(), theirs.accumulator()));
  EVENKEEL_RETURN_IF_ERROR(
      CheckNumber(name, "counts_dispatched", ours.counts_dispatched(), theirs.counts_dispatched()));
  return CheckRoute(ours, theirs);
}

absl::Status CheckRule(const std::string& layer, balance::Rule ours, balance::Rule theirs) {
  if (ours == theirs) return absl::OkStatus();
  return Differs(layer,
                 "is moved by another rule than in the state, whose averages mean nothing to it; go on with the "
                 "same rule, and change it from a later step on");
}

}  // namespace

absl::Status CheckSameShape(const JobPlan& ours, const JobPlan& theirs) {
  const auto& our_layers = ours.effective.layers();
  const auto& their_layers = theirs.effective.layers();
  for (int i = 0; i < std::max(our_layers.size(), their_layers.size()); ++i) {
    if (i >= our_layers.size() || (i < their_layers.size() && their_layers[i].name() < our_layers[i].name())) {
      return Differs(their_layers[i].name(), "is in the state and not in the job");
    }
    if (i >= their_layers.size() || our_layers[i].name() < their_layers[i].name()) {
      return Differs(our_layers[i].name(), "is in the job and not in the state");
    }
    EVENKEEL_RETURN_IF_ERROR(CheckLayer(our_layers[i], their_layers[i]));
  }
  for (size_t row = 0; row < ours.balance.size(); ++row) {
    EVENKEEL_RETURN_IF_ERROR(
        CheckRule(ours.layers[static_cast<int>(row)].name, ours.balance[row].rule, theirs.balance[row].rule));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::job
