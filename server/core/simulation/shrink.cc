#include "server/core/simulation/shrink.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "server/core/simulation/simplify.h"

namespace evenkeel::core::simulation {
namespace {

class Shrinker {
 public:
  Shrinker(const Report& failed, const MakeParts& make_parts, int max_runs)
      : kind_(KindOf(failed.complaint)), make_parts_(make_parts), runs_left_(max_runs), smallest_(failed) {}

  // Only the faults of this history strike in those that follow.
  Report KeepingItsFaults() {
    smallest_.recipe.only = smallest_.faults;
    while (LeaveOutFaults() | SimplifyScenario()) {
    }
    return smallest_;
  }

  // In a simpler scenario other faults are drawn, which may do as well.
  Report DrawingOthers() {
    SimplifyScenario();
    return KeepingItsFaults();
  }

 private:
  // Whether the history is still broken in the same way: then it is the smallest so far.
  bool Try(Recipe recipe) {
    if (runs_left_ == 0) return false;
    --runs_left_;
    Report report = RunHistory(recipe, make_parts_);
    if (KindOf(report.complaint) != kind_) return false;
    smallest_ = std::move(report);
    // What did not strike in it is not part of it.
    if (smallest_.recipe.only.has_value()) smallest_.recipe.only = smallest_.faults;
    return true;
  }

  bool TryWithout(size_t begin, size_t count) {
    Fate::Faults faults = smallest_.faults;
    const auto first = faults.begin() + begin;
    faults.erase(first, first + std::min(count, faults.size() - begin));
    return Try({smallest_.recipe.seed, smallest_.recipe.simpler, std::move(faults)});
  }

  // Delta debugging: leaves out ever smaller parts of the list of faults.
  bool LeaveOutFaults() {
    bool any = false;
    for (size_t count = smallest_.faults.size(); count > 0; count /= 2) {
      for (size_t begin = 0; begin < smallest_.faults.size();) {
        const bool without = TryWithout(begin, count);
        any = any || without;
        if (!without) begin += count;
      }
    }
    return any;
  }

  bool SimplifyScenario() {
    bool any = false;
    for (const std::string& name : Simplifications()) {
      while (TrySimpler(name)) any = true;
    }
    return any;
  }

  bool TrySimpler(const std::string& name) {
    Scenario scenario = ScenarioOf(smallest_.recipe);
    if (!Simplify(name, &scenario)) return false;
    Recipe recipe = smallest_.recipe;
    recipe.simpler.push_back(name);
    return Try(std::move(recipe));
  }

  const std::string kind_;
  const MakeParts& make_parts_;
  int runs_left_;
  Report smallest_;
};

// Faults, contributors, layers and steps: what a reader has to keep in mind.
size_t SizeOf(const Report& report) {
  size_t size = report.faults.size();
  for (const JobScenario& job : ScenarioOf(report.recipe).jobs) {
    size += job.layers.size() + job.spec.layers_size() + job.steps;
  }
  return size;
}

}  // namespace

std::string KindOf(absl::string_view complaint) {
  const std::vector<absl::string_view> parts = absl::StrSplit(complaint, absl::MaxSplits(": ", 2));
  if (parts.size() < 2) return "";
  std::string kind(parts[1]);
  kind.erase(std::remove_if(kind.begin(), kind.end(), absl::ascii_isdigit), kind.end());
  return kind;
}

Report Shrink(const Report& failed, const MakeParts& make_parts, int max_runs) {
  const Report same = Shrinker(failed, make_parts, max_runs / 2).KeepingItsFaults();
  const Report other = Shrinker(failed, make_parts, max_runs / 2).DrawingOthers();
  return SizeOf(other) < SizeOf(same) ? other : same;
}

}  // namespace evenkeel::core::simulation
