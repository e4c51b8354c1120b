#include "server/core/invariants.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/error_detail.h"

namespace evenkeel::core {
namespace {

constexpr size_t kMaxNamed = 8;

// "rank 2", "ranks 2 and 3", "ranks 0, 1, 2, 3, 4, 5, 6, 7 and 4 more".
std::string Named(absl::Span<const int> ranks) {
  if (ranks.size() == 1) return absl::StrCat("rank ", ranks[0]);
  const size_t named = ranks.size() > kMaxNamed ? kMaxNamed : ranks.size() - 1;
  const std::string last =
      ranks.size() > kMaxNamed ? absl::StrCat(ranks.size() - kMaxNamed, " more") : absl::StrCat(ranks.back());
  return absl::StrCat("ranks ", absl::StrJoin(ranks.first(named), ", "), " and ", last);
}

v1::Violation ViolationOf(v1::Violation::Kind kind, absl::Span<const int> ranks, std::string message) {
  v1::Violation violation;
  violation.set_kind(kind);
  violation.mutable_ranks()->Add(ranks.begin(), ranks.end());
  violation.set_message(std::move(message));
  return violation;
}

v1::Violation ViolationAt(v1::Violation::Kind kind, const job::LayerTable::Row& layer, absl::string_view what) {
  v1::Violation violation;
  violation.set_kind(kind);
  violation.set_layer(layer.name);
  violation.set_message(absl::StrCat("layer \"", absl::CHexEscape(layer.name), "\" ", what));
  return violation;
}

void FindDifferingBias(const std::vector<RankEvidence>& evidence, std::vector<v1::Violation>* found) {
  std::vector<int> ranks;
  for (const RankEvidence& own : evidence) ranks.insert(ranks.end(), own.diverged.begin(), own.diverged.end());
  if (ranks.empty()) return;
  std::sort(ranks.begin(), ranks.end());
  found->push_back(
      ViolationOf(v1::Violation::BIAS_DIFFERS, ranks,
                  absl::StrCat(Named(ranks),
                               " routed with another bias than the one that was sent there; what else writes where "
                               "bias() points (offloading, a cast, an optimizer)?")));
}

void FindSameTokens(const std::vector<RankEvidence>& evidence, std::vector<v1::Violation>* found) {
  std::map<std::pair<uint64_t, std::vector<int>>, std::vector<int>> alike;
  for (const RankEvidence& own : evidence) {
    for (size_t i = 0; i < own.fingerprints.size(); ++i) {
      if (own.fingerprints[i] != 0) alike[{own.fingerprints[i], own.owned}].push_back(own.ranks[i]);
    }
  }
  std::map<int, std::vector<int>> by_first_rank;
  for (auto& [fingerprint, ranks] : alike) {
    if (ranks.size() < 2) continue;
    std::sort(ranks.begin(), ranks.end());
    by_first_rank[ranks[0]] = ranks;
  }
  for (const auto& [first, ranks] : by_first_rank) {
    found->push_back(
        ViolationOf(v1::Violation::SAME_TOKENS, ranks,
                    absl::StrCat(Named(ranks),
                                 " counted the very same at every layer; if they hold the same tokens, as tensor or "
                                 "context parallel siblings do, let one of them count, and the others mask theirs")));
  }
}

// Of all streams of the layer that begins at row `first`.
uint64_t TokensOf(const job::LayerTable& layers, int first, const job::StepSums& sums) {
  const auto begin = sums.tokens.begin() + first;
  return std::accumulate(begin, begin + layers[first].streams, uint64_t{0});
}

void FindTooManyTokens(const job::JobPlan& plan, const job::StepSums& sums, std::vector<v1::Violation>* found) {
  const uint64_t most = plan.effective.tokens_per_step();
  for (int first = 0; most != 0 && first < plan.layers.size(); first += plan.layers[first].streams) {
    const uint64_t tokens = TokensOf(plan.layers, first, sums);
    if (tokens <= most) continue;
    found->push_back(ViolationAt(
        v1::Violation::TOO_MANY_TOKENS, plan.layers[first],
        absl::StrCat("counted ", tokens, " tokens, and a step has ", most,
                     " (tokens_per_step): some are counted twice; do ranks share tokens, or is a pass recomputed?")));
  }
}

void FindSilentLayers(const job::JobPlan& plan, const job::JobState& before, bool ok, const job::StepSums& sums,
                      const std::vector<RankEvidence>& evidence, std::vector<v1::Violation>* found) {
  std::vector<bool> unknown(plan.layers.size());
  for (const RankEvidence& own : evidence) {
    for (const int row : own.owned) unknown[row] = unknown[row] || own.counts_lost;
  }
  for (int first = 0; first < plan.layers.size(); first += plan.layers[first].streams) {
    const uint64_t due = std::max<uint64_t>(1, plan.balance[first].warmup_steps);
    const bool is_due = ok && before.position + 1 == due;
    uint64_t tokens = TokensOf(plan.layers, first, sums);
    for (int i = 0; i < plan.layers[first].streams; ++i) tokens += before.layers[first + i].total_tokens;
    if (!is_due || unknown[first] || tokens > 0) continue;
    found->push_back(ViolationAt(
        v1::Violation::SILENT_LAYER, plan.layers[first],
        absl::StrCat("has not counted a token in the first ", due, due == 1 ? " step" : " steps",
                     "; is its router hooked up, and is it declared by the name of a layer that there is?")));
  }
}

}  // namespace

absl::StatusOr<RankEvidence> EvidenceOf(const v1::PushRequest& push, absl::Span<const int> ranks,
                                        const std::vector<int>& owned) {
  RankEvidence evidence;
  evidence.ranks.assign(ranks.begin(), ranks.end());
  evidence.owned = owned;
  evidence.fingerprints.assign(push.rank_fingerprints().begin(), push.rank_fingerprints().end());
  evidence.diverged.assign(push.diverged_ranks().begin(), push.diverged_ranks().end());
  evidence.counts_lost = push.counts_lost();
  if (!evidence.fingerprints.empty() && evidence.fingerprints.size() != ranks.size()) {
    return ServiceError(absl::StatusCode::kInvalidArgument, v1::ErrorDetail::SHAPE_MISMATCH,
                        absl::StrCat("rank_fingerprints has ", evidence.fingerprints.size(),
                                     " entries; the contributor stands for ", ranks.size(), " ranks"));
  }
  for (size_t i = 0; i < evidence.diverged.size(); ++i) {
    const int rank = evidence.diverged[i];
    const bool ascends = i == 0 || evidence.diverged[i - 1] < rank;
    if (ascends && std::count(ranks.begin(), ranks.end(), rank) > 0) continue;
    return ServiceError(
        absl::StatusCode::kInvalidArgument, v1::ErrorDetail::INVALID_FIELD,
        absl::StrCat("diverged_ranks: ", rank, " is none of the contributor's ranks, or not after the one before it"));
  }
  return evidence;
}

std::vector<v1::Violation> FindViolations(const job::JobPlan& plan, const job::JobState& before, bool ok,
                                          const job::StepSums& sums, const std::vector<RankEvidence>& evidence) {
  std::vector<v1::Violation> found;
  FindDifferingBias(evidence, &found);
  FindSameTokens(evidence, &found);
  FindTooManyTokens(plan, sums, &found);
  FindSilentLayers(plan, before, ok, sums, evidence, &found);
  return found;
}

v1::Violation RefusedCounts(const absl::Status& status, int contributor, absl::Span<const int> ranks) {
  const bool dispatched = ReasonOf(status) == v1::ErrorDetail::DISPATCHED_INCONSISTENT;
  return ViolationOf(
      dispatched ? v1::Violation::DISPATCHED : v1::Violation::COUNTS, ranks,
      absl::StrCat("the push of contributor ", contributor, " (", Named(ranks), ") is refused: ", status.message()));
}

}  // namespace evenkeel::core
