#include "client/link/version_check.h"

#include <cstdint>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "job/layer_table.h"
#include "kernels/balance/bias_hash.h"

namespace evenkeel::client {
namespace {

std::string Describe(const v1::LayerSpec& layer) {
  const int streams = job::StreamsOf(layer);
  return absl::StrCat("\"", absl::CHexEscape(layer.name()), "\" of ", layer.num_experts(), " experts",
                      streams > 1 ? absl::StrCat(" in ", streams, " streams") : "");
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

absl::Status CheckBias(const job::LayerTable& rows, const v1::CommittedVersion& version) {
  for (int i = 0; i < rows.size(); ++i) {
    const float* const bias = version.bias().data() + rows[i].offset;
    const uint64_t found = balance::HashBias(absl::MakeConstSpan(bias, rows[i].num_experts));
    EVENKEEL_RETURN_IF_ERROR(
        CheckHash(version, absl::StrCat("the bias of ", Quoted(rows[i])), version.layer_hashes(i), found));
  }
  const uint64_t combined =
      balance::CombineHashes(absl::MakeConstSpan(version.layer_hashes().data(), version.layer_hashes_size()));
  return CheckHash(version, "the list of layer hashes", version.state_hash(), combined);
}

}  // namespace

absl::Status VerifyVersion(const v1::JobSpec& job, const v1::CommittedVersion& version) {
  const bool has_bias = job.mode() != v1::JobSpec::Mode::OBSERVE;
  const job::LayerTable rows(job);
  EVENKEEL_RETURN_IF_ERROR(CheckLength(version, "bias", version.bias_size(), has_bias ? rows.total_experts() : 0));
  EVENKEEL_RETURN_IF_ERROR(
      CheckLength(version, "layer_hashes", version.layer_hashes_size(), has_bias ? rows.size() : 0));
  EVENKEEL_RETURN_IF_ERROR(CheckLength(version, "max_violation", version.max_violation_size(), rows.size()));
  return has_bias ? CheckBias(rows, version) : CheckHash(version, "nothing", version.state_hash(), 0);
}

absl::Status VerifyLayers(const v1::JobSpec& job, const v1::JobSpec& effective) {
  if (effective.layers_size() != job.layers_size()) {
    return absl::DataLossError(absl::StrCat("the coordinator's layer table has ", effective.layers_size(),
                                            " layers, this worker's ", job.layers_size()));
  }
  for (int i = 0; i < job.layers_size(); ++i) {
    const v1::LayerSpec& ours = job.layers(i);
    const v1::LayerSpec& theirs = effective.layers(i);
    const bool same = ours.name() == theirs.name() && ours.num_experts() == theirs.num_experts() &&
                      job::StreamsOf(ours) == job::StreamsOf(theirs);
    if (same) continue;
    return absl::DataLossError(absl::StrCat("the coordinator's layer table has ", Describe(theirs), " at place ", i,
                                            ", this worker's ", Describe(ours)));
  }
  return absl::OkStatus();
}

}  // namespace evenkeel::client
