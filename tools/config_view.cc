#include "tools/config_view.h"

#include <map>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/message_differencer.h"
#include "tools/table.h"

namespace evenkeel::tools {
namespace {

// "rate: 0.01 -> 0.005; added: frozen: true", each behind `place`.
void AddDifference(absl::string_view place, const google::protobuf::Message& before,
                   const google::protobuf::Message& after, std::vector<std::string>* all) {
  std::string report;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&report);
  differencer.Compare(before, after);
  for (absl::string_view line : absl::StrSplit(report, '\n', absl::SkipEmpty())) {
    absl::ConsumePrefix(&line, "modified: ");
    all->push_back(absl::StrCat(place, line));
  }
}

std::map<std::string, v1::BalanceConfig> ByLayer(const v1::ConfigChange& change) {
  std::map<std::string, v1::BalanceConfig> layers;
  for (const v1::LayerOverride& layer : change.overrides()) layers[layer.layer()] = layer.balance();
  return layers;
}

std::string Difference(const v1::ConfigChange& before, const v1::ConfigChange& after) {
  std::vector<std::string> all;
  AddDifference("", before.balance(), after.balance(), &all);
  std::map<std::string, v1::BalanceConfig> earlier = ByLayer(before);
  std::map<std::string, v1::BalanceConfig> later = ByLayer(after);
  for (const auto& [layer, balance] : earlier) later.try_emplace(layer);
  for (const auto& [layer, balance] : later) {
    AddDifference(absl::StrCat("layer ", layer, ": "), earlier[layer], balance, &all);
  }
  if (before.mode() != after.mode()) {
    all.push_back(absl::StrCat("mode: ", v1::JobSpec::Mode::Kind_Name(before.mode()), " -> ",
                               v1::JobSpec::Mode::Kind_Name(after.mode())));
  }
  AddDifference("", before.membership(), after.membership(), &all);
  if (before.missing_policy() != after.missing_policy()) {
    all.push_back(absl::StrCat("missing_policy: ", v1::JobSpec::MissingPolicy::Kind_Name(before.missing_policy()),
                               " -> ", v1::JobSpec::MissingPolicy::Kind_Name(after.missing_policy())));
  }
  return all.empty() ? "nothing" : absl::StrJoin(all, "; ");
}

}  // namespace

std::string ShowChanges(const google::protobuf::RepeatedPtrField<v1::ConfigChange>& changes, uint64_t open_step) {
  if (changes.empty()) return "  the config is the one that the job was made with\n";
  Table table(
      {{"from step"}, {"", Table::Align::kLeft}, {"config", Table::Align::kLeft}, {"note", Table::Align::kLeft}});
  for (int i = 0; i < changes.size(); ++i) {
    const bool has_begun = changes[i].from_step() <= open_step;
    const bool is_over = i + 1 < changes.size() && changes[i + 1].from_step() <= open_step;
    table.AddRow({absl::StrCat(changes[i].from_step()),
                  !has_begun ? "to come"
                  : is_over  ? "past"
                             : "in force",
                  i == 0 ? "as the job was made" : Difference(changes[i - 1], changes[i]), changes[i].note()});
  }
  return table.Text();
}

std::string ShowHalt(const std::string& job, const v1::Halt& halt) {
  const std::string name = absl::Utf8SafeCEscape(job);
  return absl::StrCat("halted since step ", halt.step(), ": ", absl::Utf8SafeCEscape(halt.cause().message()),
                      "; no layer moves until 'evenkeel set --job ", name, " --resume'\n");
}

}  // namespace evenkeel::tools
