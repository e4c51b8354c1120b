#include "adapters/checkpoint/bias_names.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace evenkeel::checkpoint {
namespace {

// The spellings of released checkpoints and of transformers' modules.
constexpr Spelling kHuggingFace[] = {
    {"mlp.gate.e_score_correction_bias"},
    {"mlp.e_score_correction_bias"},
    {"mlp.experts.e_score_correction_bias"},
    {"mlp.router.e_score_correction_bias"},
    {"mlp.moe_statics.e_score_correction_bias"},
    {"mlp.gate.moe_statics.e_score_correction_bias"},
    {"block_sparse_moe.e_score_correction_bias"},
    {"block_sparse_moe.gate.e_score_correction_bias"},
    {"mixer.gate.e_score_correction_bias"},
    {"mlp.gate.bias"},
    {"ffn.gate.bias"},
    {"mlp.expert_bias"},
    {"mlp.gate.expert_bias"},
    {"feed_forward.expert_bias"},
    {"moe.router.expert_bias"},
    {"moe.router_bias"},
    {"mlp.gate.balancing_biases"},
};
constexpr Spelling kMegatron[] = {{"mlp.router.expert_bias"}};
// The second is that of its versions before the names said their shapes.
constexpr Spelling kTorchtitan[] = {{"moe.expert_bias_E"}, {"moe.expert_bias"}};
constexpr Spelling kOlmo[] = {{"feed_forward_moe.router.score_bias"}};
constexpr Spelling kHyperParallel[] = {{"moe.expert_bias"}};
// Buffers of the MoE block, which each model family calls something else.
constexpr Spelling kAxolotl[] = {
    {"mlp._afb_bias", "mlp._afb_ema"},
    {"block_sparse_moe._afb_bias", "block_sparse_moe._afb_ema"},
    {"feed_forward._afb_bias", "feed_forward._afb_ema"},
};

constexpr Scheme kSchemes[] = {
    {"hf", "model.layers.", kHuggingFace},
    {"megatron", "decoder.layers.", kMegatron},
    {"torchtitan", "layers.", kTorchtitan},
    {"olmo", "blocks.", kOlmo},
    {"hyper_parallel", "model.layers.", kHyperParallel},
    {"axolotl", "model.layers.", kAxolotl},
};

template <typename... Words>
absl::Status Invalid(const Words&... words) {
  return absl::InvalidArgumentError(absl::StrCat(words...));
}

std::string Quoted(absl::string_view name) { return absl::StrCat("\"", absl::CHexEscape(name), "\""); }

std::string QuotedList(absl::Span<const std::string> names) {
  return absl::StrJoin(names, ", ", [](std::string* out, const std::string& name) { out->append(Quoted(name)); });
}

bool IsNumber(absl::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), absl::ascii_isdigit);
}

// A layer's number in a module path, and what stands before it: "model.layers." and 3.
struct Place {
  std::string before;
  int64_t number = 0;
};

absl::StatusOr<Place> PlaceOf(const std::string& layer) {
  std::optional<Place> place;
  std::string before;
  for (const absl::string_view word : absl::StrSplit(layer, '.')) {
    if (IsNumber(word)) {
      if (place.has_value()) {
        return Invalid("layer ", Quoted(layer), ": its name has several numbers; which is the layer's?");
      }
      if (!absl::SimpleAtoi(word, &place.emplace(Place{before}).number)) {
        return Invalid("layer ", Quoted(layer), ": ", word, " is too large");
      }
    }
    absl::StrAppend(&before, word, ".");
  }
  if (place.has_value()) return *std::move(place);
  return Invalid("layer ", Quoted(layer), ": its name has no number, such as the 3 of model.layers.3.mlp.gate");
}

absl::StatusOr<std::vector<Place>> PlacesOf(absl::Span<const std::string> layers) {
  std::vector<Place> places;
  for (const std::string& layer : layers) {
    EVENKEEL_ASSIGN_OR_RETURN(Place place, PlaceOf(layer));
    places.push_back(std::move(place));
  }
  return places;
}

absl::Status CheckDistinct(absl::Span<const std::string> layers, const std::vector<TensorNames>& names) {
  std::map<absl::string_view, size_t> first;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto [there, is_new] = first.emplace(names[i].bias, i);
    if (!is_new) {
      return Invalid("layers ", Quoted(layers[there->second]), " and ", Quoted(layers[i]), " would both be the tensor ",
                     Quoted(names[i].bias));
    }
  }
  return absl::OkStatus();
}

// A tensor that the scheme knows.
struct Match {
  Place place;
  TensorNames names;
};

std::optional<Match> MatchOf(const Spelling& spelling, const std::string& tensor) {
  absl::string_view before = tensor;
  if (!absl::ConsumeSuffix(&before, spelling.bias) || !absl::ConsumeSuffix(&before, ".")) return std::nullopt;
  const size_t dot = before.rfind('.');
  const size_t begin = dot == absl::string_view::npos ? 0 : dot + 1;
  Match match;
  match.place.before = std::string(before.substr(0, begin));
  const absl::string_view number = before.substr(begin);
  if (!IsNumber(number) || !absl::SimpleAtoi(number, &match.place.number)) return std::nullopt;
  match.names.bias = tensor;
  if (!spelling.ema.empty()) match.names.ema = absl::StrCat(before, ".", spelling.ema);
  return match;
}

std::vector<Match> MatchesOf(const Scheme& scheme, absl::Span<const std::string> tensors) {
  const std::set<absl::string_view> there(tensors.begin(), tensors.end());
  std::vector<Match> matches;
  for (const std::string& tensor : tensors) {
    for (const Spelling& spelling : scheme.spellings) {
      std::optional<Match> match = MatchOf(spelling, tensor);
      if (!match.has_value()) continue;
      if (there.count(match->names.ema) == 0) match->names.ema.clear();
      matches.push_back(*std::move(match));
    }
  }
  return matches;
}

// The one of `matches` that is the layer's.
absl::StatusOr<TensorNames> ChooseMatch(const Scheme& scheme, const std::string& layer, const Place& place,
                                        const std::vector<Match>& matches) {
  std::vector<const Match*> chosen;
  for (const Match& match : matches) {
    if (match.place.number == place.number) chosen.push_back(&match);
  }
  if (chosen.empty()) {
    return absl::NotFoundError(absl::StrCat("layer ", Quoted(layer), ": no tensor with the number ", place.number,
                                            " is spelled as ", scheme.name, " spells a bias, such as ", scheme.layers,
                                            place.number, ".", scheme.spellings[0].bias));
  }
  const auto is_elsewhere = [&place](const Match* match) { return match->place.before != place.before; };
  if (chosen.size() > 1 && !std::all_of(chosen.begin(), chosen.end(), is_elsewhere)) {
    chosen.erase(std::remove_if(chosen.begin(), chosen.end(), is_elsewhere), chosen.end());
  }
  if (chosen.size() == 1) return chosen.front()->names;
  std::vector<std::string> names;
  for (const Match* match : chosen) names.push_back(match->names.bias);
  return Invalid("layer ", Quoted(layer), ": it could be any of the tensors ", QuotedList(names));
}

}  // namespace

absl::Span<const Scheme> Schemes() { return kSchemes; }

std::string SchemeNames() {
  return absl::StrJoin(kSchemes, ", ",
                       [](std::string* out, const Scheme& scheme) { absl::StrAppend(out, scheme.name); });
}

absl::StatusOr<Scheme> FindScheme(absl::string_view name) {
  for (const Scheme& scheme : kSchemes) {
    if (scheme.name == name) return scheme;
  }
  return Invalid(Quoted(name), " is no naming scheme; those are ", SchemeNames());
}

absl::StatusOr<int64_t> LayerNumber(const std::string& layer) {
  EVENKEEL_ASSIGN_OR_RETURN(const Place place, PlaceOf(layer));
  return place.number;
}

absl::StatusOr<std::vector<TensorNames>> NamesToWrite(const Scheme& scheme, absl::Span<const std::string> layers) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<Place> places, PlacesOf(layers));
  const Spelling& spelling = scheme.spellings[0];
  std::vector<TensorNames> names;
  for (const Place& place : places) {
    const std::string layer = absl::StrCat(scheme.layers, place.number, ".");
    names.push_back(
        {absl::StrCat(layer, spelling.bias), spelling.ema.empty() ? std::string() : absl::StrCat(layer, spelling.ema)});
  }
  EVENKEEL_RETURN_IF_ERROR(CheckDistinct(layers, names));
  return names;
}

absl::StatusOr<std::vector<TensorNames>> NamesByPattern(absl::string_view pattern,
                                                        absl::Span<const std::string> layers) {
  const std::vector<absl::string_view> parts = absl::StrSplit(pattern, "{}");
  if (parts.size() != 2) return Invalid("pattern ", Quoted(pattern), " has not one {} for the layer's number");
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<Place> places, PlacesOf(layers));
  std::vector<TensorNames> names;
  for (const Place& place : places) names.push_back({absl::StrCat(parts[0], place.number, parts[1]), ""});
  EVENKEEL_RETURN_IF_ERROR(CheckDistinct(layers, names));
  return names;
}

absl::StatusOr<FoundNames> FindNames(const Scheme& scheme, absl::Span<const std::string> layers,
                                     absl::Span<const std::string> tensors) {
  EVENKEEL_ASSIGN_OR_RETURN(const std::vector<Place> places, PlacesOf(layers));
  const std::vector<Match> matches = MatchesOf(scheme, tensors);
  FoundNames found;
  std::set<absl::string_view> taken;
  for (size_t i = 0; i < layers.size(); ++i) {
    EVENKEEL_ASSIGN_OR_RETURN(TensorNames names, ChooseMatch(scheme, layers[i], places[i], matches));
    found.names.push_back(std::move(names));
  }
  EVENKEEL_RETURN_IF_ERROR(CheckDistinct(layers, found.names));
  for (const TensorNames& names : found.names) taken.insert(names.bias);
  for (const Match& match : matches) {
    if (taken.count(match.names.bias) == 0) found.left_over.push_back(match.names.bias);
  }
  return found;
}

}  // namespace evenkeel::checkpoint
