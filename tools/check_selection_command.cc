#include "tools/check_selection_command.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/json_text.h"
#include "base/status_macros.h"
#include "tools/flags.h"
#include "tools/router_files.h"
#include "tools/selection_check.h"
#include "tools/table.h"

namespace evenkeel::tools {
namespace {

constexpr absl::string_view kHelp =
    R"(evenkeel check-selection: how many tokens choose other experts in software that treats the bias otherwise.

  evenkeel check-selection --spec SPEC | --model CONFIG [--layer LAYER]
                           --logits X.npy --bias B.npy [--valid M.npy] [--offset positive] [--json]

  --spec SPEC, --model CONFIG, --layer LAYER, --logits X.npy, --valid M.npy
                     as for 'evenkeel route'
  --bias B.npy       float32 [experts]: added to the scores for selection only
  --offset positive  also with what 'evenkeel export --offset positive' makes of the bias: a number added to all experts,
                     so that the smallest is 1/1024

Routes every token as the spec says, and as software does that

  fills with 0      gives the experts of dropped groups a score of 0, not -inf: an expert of a kept group whose score
                    and bias add up to less than 0 loses to them. (Of a spec that fills with 0: the other way round.)
  rounds to bf16    holds the bias in bfloat16, as a model does that is loaded whole in that type

and in both ways, and counts the tokens whose set of experts differs, and the slots. The exit status is 0 whatever it
counts: how many are too many is yours to say.

Example:

  echo '{"num_experts": 64, "top_k": 6, "num_groups": 8, "top_groups": 1}' > spec.json
  python3 -c 'import numpy; numpy.save("x.npy", numpy.random.randn(4096, 64).astype("f4") - 2)'
  python3 -c 'import numpy; numpy.save("b.npy", (numpy.random.randn(64) / 4).astype("f4"))'
  evenkeel check-selection --spec spec.json --logits x.npy --bias b.npy --offset positive
)";

struct Options {
  RouterFiles files;
  std::string offset = "none";
  bool json = false;
};

absl::Status ReadOptions(Args args, Options* options) {
  const Flag flags[] = {
      {"spec", &options->files.spec},
      {"model", &options->files.model},
      {"layer", &options->files.layer},
      {"logits", &options->files.logits, /*is_required=*/true},
      {"bias", &options->files.bias, /*is_required=*/true},
      {"valid", &options->files.valid},
      {"offset", &options->offset},
      {"json", &options->json},
  };
  EVENKEEL_RETURN_IF_ERROR(ParseFlags(args, flags));
  EVENKEEL_RETURN_IF_ERROR(CheckRouterFiles(options->files));
  if (options->offset == "none" || options->offset == "positive") return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--offset: \"", options->offset, "\" is none of none, positive"));
}

bool FillsWithZero(const SelectionVariant& variant) { return variant.fill == routing::DroppedGroupFill::kZero; }

std::string DifferenceJson(const SelectionDifference& difference) {
  const SelectionVariant& variant = difference.variant;
  return absl::StrCat("\n  {\"dropped_group_fill\": ", FillsWithZero(variant) ? "\"ZERO\"" : "\"NEG_INF\"",
                      ", \"bias\": ", variant.is_bf16 ? "\"bfloat16\"" : "\"float32\"",
                      ", \"offset\": ", JsonNumber(variant.offset), ", \"tokens\": ", difference.tokens,
                      ", \"slots\": ", difference.slots, "}");
}

std::string SummaryJson(const RouterRows& rows, const SelectionCheck& check) {
  return absl::StrCat("{\"layer\": ", JsonString(rows.layer), ", \"tokens\": ", check.tokens,
                      ", \"slots\": ", check.slots,
                      ", \"groups\": ", routing::GroupsActive(rows.spec) ? rows.spec.num_groups : 0,
                      ", \"positive_offset\": ", JsonNumber(check.offset),
                      ", \"differences\": ", JsonList(check.differences, DifferenceJson), "}\n");
}

std::string Share(int64_t part, int64_t whole) {
  return whole == 0 ? "-" : absl::StrFormat("%.3f%%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string Summary(const RouterRows& rows, const SelectionCheck& check) {
  std::string text = absl::StrFormat(
      "%s%d valid tokens, top %d of %d experts%s\n", rows.layer.empty() ? "" : absl::StrCat(rows.layer, ": "),
      check.tokens, rows.spec.top_k, rows.spec.num_experts,
      routing::GroupsActive(rows.spec)
          ? absl::StrCat(" in ", rows.spec.top_groups, " of ", rows.spec.num_groups, " groups")
          : ", no groups: nothing is filled");
  Table table({{"DROPPED GROUPS", Table::Align::kLeft},
               {"BIAS", Table::Align::kLeft},
               {"OFFSET"},
               {"TOKENS THAT DIFFER"},
               {"SLOTS THAT DIFFER"}});
  for (const SelectionDifference& difference : check.differences) {
    const SelectionVariant& variant = difference.variant;
    table.AddRow({FillsWithZero(variant) ? "filled with 0" : "filled with -inf",
                  variant.is_bf16 ? "bfloat16" : "float32",
                  variant.offset == 0 ? "-" : absl::StrFormat("%+.4g", variant.offset),
                  absl::StrCat(difference.tokens, "  ", Share(difference.tokens, check.tokens)),
                  absl::StrCat(difference.slots, "  ", Share(difference.slots, check.slots))});
  }
  return text + table.Text();
}

absl::Status Check(const Options& options, std::ostream& out) {
  EVENKEEL_ASSIGN_OR_RETURN(const RouterRows rows, ReadRouterFiles(options.files));
  EVENKEEL_ASSIGN_OR_RETURN(const SelectionCheck check, CheckSelection(rows, options.offset == "positive"));
  out << (options.json ? SummaryJson(rows, check) : Summary(rows, check));
  return absl::OkStatus();
}

int Run(Args args, Streams streams) {
  Options options;
  const absl::Status usage = ReadOptions(args, &options);
  if (!usage.ok()) return RefuseUsage("check-selection", usage, streams.err);
  return Finish("check-selection", Check(options, streams.out), streams.err);
}

}  // namespace

const Command kCheckSelectionCommand = {"check-selection", "how many selections other treatments of the bias change",
                                        kHelp, Run};

}  // namespace evenkeel::tools
