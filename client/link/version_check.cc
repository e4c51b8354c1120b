#include "client/link/version_check.h"

#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "kernels/balance/bias_hash.h"

namespace evenkeel::client {
namespace {

std::string Describe(const v1::LayerSpec& layer) {
  return absl::StrCat("\"", absl::CHexEscape(layer.name()), "\" of ", layer.num_experts(), " experts");
}

absl::Status CheckLength(const v1::CommittedVersion& version, absl::string_view field, int64_t length,
                         int64_t expected) {
  if (length == expected) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the version of step ", version.version().step(), " has ", length,
                                          " entries in ", field, "; the layer table asks for ", expected));
}

absl::Status CheckHash(const v1::CommittedVersion& version, absl::string_view what, uint64_t said, uint64_t found) {
  if (said == found) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("%s arrived damaged with step %d: its hash is %016x, the coordinator says %016x", what,
                      version.version().step(), found, said));
}

absl::Status CheckBias(const v1::JobSpec& job, const v1::CommittedVersion& version) {
  const float* bias = version.bias().data();
  for (int i = 0; i < job.layers_size(); ++i) {
    const v1::LayerSpec& layer = job.layers(i);
    const uint64_t found = balance::HashBias(absl::MakeConstSpan(bias, layer.num_experts()));
    EVENKEEL_RETURN_IF_ERROR(CheckHash(version,
                                       absl::StrCat("the bias of layer \"", absl::CHexEscape(layer.name()), "\""),
                                       version.layer_hashes(i), found));
    bias += layer.num_experts();
  }
  const uint64_t combined =
      balance::CombineHashes(absl::MakeConstSpan(version.layer_hashes().data(), version.layer_hashes_size()));
  return CheckHash(version, "the list of layer hashes", version.state_hash(), combined);
}

}  // namespace

absl::Status VerifyVersion(const v1::JobSpec& job, const v1::CommittedVersion& version) {
  const bool has_bias = job.mode() != v1::JobSpec::Mode::OBSERVE;
  int64_t experts = 0;
  for (const v1::LayerSpec& layer : job.layers()) experts += layer.num_experts();
  EVENKEEL_RETURN_IF_ERROR(CheckLength(version, "bias", version.bias_size(), has_bias ? experts : 0));
  EVENKEEL_RETURN_IF_ERROR(
      CheckLength(version, "layer_hashes", version.layer_hashes_size(), has_bias ? job.layers_size() : 0));
  EVENKEEL_RETURN_IF_ERROR(CheckLength(version, "max_violation", version.max_violation_size(), job.layers_size()));
  return has_bias ? CheckBias(job, version) : CheckHash(version, "nothing", version.state_hash(), 0);
}

absl::Status VerifyLayers(const v1::JobSpec& job, const v1::JobSpec& effective) {
  if (effective.layers_size() != job.layers_size()) {
    return absl::DataLossError(absl::StrCat("the coordinator's layer table has ", effective.layers_size(),
                                            " layers, this worker's ", job.layers_size()));
  }
  for (int i = 0; i < job.layers_size(); ++i) {
    const v1::LayerSpec& ours = job.layers(i);
    const v1::LayerSpec& theirs = effective.layers(i);
    if (ours.name() == theirs.name() && ours.num_experts() == theirs.num_experts()) continue;
    return absl::DataLossError(absl::StrCat("the coordinator's layer table has ", Describe(theirs), " at place ", i,
                                            ", this worker's ", Describe(ours)));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::client
