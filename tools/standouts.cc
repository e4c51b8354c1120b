#include "tools/standouts.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "tools/config_view.h"
#include "tools/number_list.h"
#include "tools/worker_view.h"

namespace evenkeel::tools {
namespace {

using Sentences = std::vector<std::string>;
using State = v1::ContributorState;

// So many layers or violations are named; the others are a number.
constexpr size_t kNamed = 3;

bool NeedsSomebody(State::Kind state) { return state == State::FAILED || state == State::LOST || state == State::LATE; }

std::string LayerText(const v1::LayerStatus& layer) {
  const std::string stream = layer.stream() == 0 ? "" : absl::StrCat(" stream ", layer.stream());
  return absl::StrCat(absl::Utf8SafeCEscape(layer.name()), stream);
}

void AddContributors(const v1::DescribeJobResponse& response, State::Kind state, const char* what, Sentences* all) {
  std::vector<int> numbers;
  for (const v1::ContributorStatus& contributor : response.contributors()) {
    if (contributor.state() == state) numbers.push_back(contributor.contributor());
  }
  if (numbers.empty()) return;
  std::sort(numbers.begin(), numbers.end());
  all->push_back(
      absl::StrCat(numbers.size() == 1 ? "contributor " : "contributors ", NumberRanges(numbers), " ", what));
}

void AddViolations(const v1::DescribeJobResponse& response, Sentences* all) {
  Sentences messages;
  for (const v1::Violation& violation : response.violations()) {
    messages.push_back(absl::Utf8SafeCEscape(violation.message()));
  }
  if (!messages.empty()) all->push_back(absl::StrCat("cannot be right: ", FirstOf(messages, kNamed)));
}

void AddFigures(const v1::DescribeJobResponse& response, Sentences* all) {
  std::vector<int> stale;
  std::vector<int> losing;
  uint64_t most_stale = 0;
  uint64_t lost = 0;
  for (const v1::ContributorStatus& contributor : response.contributors()) {
    const v1::WorkerFigures& figures = contributor.figures();
    if (figures.staleness() > 0) stale.push_back(contributor.contributor());
    if (figures.lost_steps() > 0) losing.push_back(contributor.contributor());
    most_stale = std::max(most_stale, figures.staleness());
    lost += figures.lost_steps();
  }
  if (!stale.empty()) {
    all->push_back(absl::StrCat("a bias up to ", most_stale, " steps older than the one due routes at contributors ",
                                NumberRanges(stale)));
  }
  if (!losing.empty()) {
    all->push_back(absl::StrCat("the counts of ", lost, " steps were lost by contributors ", NumberRanges(losing)));
  }
}

// "3 of 61 layers WHAT: a (text of it), b (text of it) and 1 more", the largest first.
void AddLayers(const v1::DescribeJobResponse& response, const char* what,
               const std::function<double(const v1::LayerStatus&)>& badness,
               const std::function<std::string(const v1::LayerStatus&)>& text, Sentences* all) {
  std::vector<const v1::LayerStatus*> layers;
  for (const v1::LayerStatus& layer : response.layers()) {
    if (badness(layer) > 0) layers.push_back(&layer);
  }
  if (layers.empty()) return;
  std::stable_sort(layers.begin(), layers.end(),
                   [&](const v1::LayerStatus* a, const v1::LayerStatus* b) { return badness(*a) > badness(*b); });
  Sentences texts;
  for (const v1::LayerStatus* layer : layers) texts.push_back(absl::StrCat(LayerText(*layer), " (", text(*layer), ")"));
  all->push_back(absl::StrCat(layers.size(), " of ", response.layers_size(),
                              response.layers_size() == 1 ? " layer " : " layers ", what, ": ",
                              FirstOf(texts, kNamed)));
}

// The steps that a layer's dead experts are looked for in.
std::string WindowText(const v1::LayerStatus& layer) {
  if (!layer.has_trend()) return "in the last step";
  return layer.trend().window_steps() == 1 ? "in 1 step" : absl::StrCat("in ", layer.trend().window_steps(), " steps");
}

int DeadExperts(const v1::LayerStatus& layer) {
  return layer.has_trend() ? layer.trend().dead_experts() : layer.dead_experts();
}

double AboveNoise(const v1::LayerStatus& layer) {
  if (!(layer.noise_floor() > 0)) return 0;
  const double ratio = layer.max_violation() / layer.noise_floor();
  return ratio > kFarAboveNoise ? ratio : 0;
}

// The cap of a layer's bias where its distance from 0 tells whether it is there; else 0.
double CapOf(const v1::JobSpec& spec, const std::string& layer) {
  v1::BalanceConfig config = spec.balance();
  for (const v1::LayerOverride& override : spec.overrides()) {
    if (override.layer() == layer) config.MergeFrom(override.balance());
  }
  const bool is_about_zero =
      config.cap_mode() == v1::BalanceConfig::ABSOLUTE || config.center() == v1::BalanceConfig::STATE;
  return config.has_cap() && config.cap() > 0 && is_about_zero ? config.cap() : 0;
}

double LargestBias(const v1::LayerStatus& layer) {
  return std::max(std::abs(layer.bias_min()), std::abs(layer.bias_max()));
}

void AddUnevenLayers(const v1::DescribeJobResponse& response, Sentences* all) {
  AddLayers(
      response, "have experts without a token", [](const auto& layer) { return DeadExperts(layer); },
      [](const auto& layer) {
        return absl::StrCat(DeadExperts(layer), " of ", layer.num_experts(), " ", WindowText(layer));
      },
      all);
  AddLayers(
      response, "are far above their noise floor", AboveNoise,
      [](const auto& layer) {
        return absl::StrFormat("max violation %.3f, noise floor %.3f", layer.max_violation(), layer.noise_floor());
      },
      all);
  AddLayers(
      response, "have a bias at its cap",
      [&](const auto& layer) {
        const double cap = CapOf(response.effective(), layer.name());
        // Just below it a float32 may have rounded.
        return cap > 0 && LargestBias(layer) >= cap * (1 - 1e-6) ? LargestBias(layer) : 0;
      },
      [&](const auto& layer) { return absl::StrFormat("%.4g", CapOf(response.effective(), layer.name())); }, all);
}

}  // namespace

bool IsInTrouble(const v1::JobSummary& job) {
  return !job.failure().empty() || job.stragglers_size() > 0 ||
         std::any_of(job.counts().begin(), job.counts().end(), [](const v1::ContributorCount& count) {
           return count.contributors() > 0 && NeedsSomebody(count.state());
         });
}

bool IsInTrouble(const v1::DescribeJobResponse& response) {
  return response.has_halt() || IsInTrouble(response.summary());
}

bool IsOutOfOrder(const v1::ContributorStatus& contributor) {
  return NeedsSomebody(contributor.state()) || contributor.state() == State::AWAY;
}

std::vector<std::string> StandOuts(const v1::DescribeJobResponse& response) {
  const v1::JobSummary& job = response.summary();
  Sentences all;
  if (response.has_halt()) {
    all.emplace_back(absl::StripTrailingAsciiWhitespace(ShowHalt(job.name(), response.halt())));
  }
  if (!job.failure().empty()) all.push_back(absl::StrCat("failed: ", absl::Utf8SafeCEscape(job.failure())));
  if (job.stragglers_size() > 0) {
    all.push_back(
        absl::StrCat("step ", job.open_step(), " waits for contributor ", absl::StrJoin(job.stragglers(), ", ")));
  }
  AddContributors(response, State::LOST, "lost: not heard of in time", &all);
  AddContributors(response, State::LATE, "late: alive, and beyond a step's deadline", &all);
  AddContributors(response, State::AWAY, "away: not back since the coordinator's start, or a rewind", &all);
  AddViolations(response, &all);
  for (const WorkerTrait& trait : WorkerTraits(response)) {
    if (trait.is_mixed()) all.push_back(MixText(trait));
  }
  if (job.staleness() > 0) {
    all.push_back(absl::StrCat("the last step was routed with a version ", job.staleness(), " steps late"));
  }
  AddFigures(response, &all);
  AddUnevenLayers(response, &all);
  return all;
}

}  // namespace evenkeel::tools
