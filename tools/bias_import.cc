#include "tools/bias_import.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "config/balance_config.h"
#include "kernels/balance/gauge.h"

namespace evenkeel::tools {
namespace {

absl::Status Refused(const SafetensorsTensor& tensor, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("tensor ", QuotedName(tensor.name), ": ", why));
}

absl::Status CheckType(const SafetensorsTensor& tensor, bool allow_half) {
  const absl::string_view type = tensor.type.name;
  if (allow_half || (type != "BF16" && type != "F16")) return absl::OkStatus();
  return Refused(tensor,
                 absl::StrCat("dtype ", type, ": whoever wrote it rounded the bias to ", type == "BF16" ? "8" : "11",
                              " bits, which moves selections, and steps smaller than its last place are lost; "
                              "take the float32 of the training checkpoint, or, where there is none, give "
                              "--allow-half"));
}

absl::StatusOr<std::vector<double>> ReadFinite(const SafetensorsSet& tensors, const std::string& name,
                                               bool allow_half) {
  const SafetensorsTensor& tensor = tensors.Tensor(name);
  EVENKEEL_RETURN_IF_ERROR(CheckType(tensor, allow_half));
  EVENKEEL_ASSIGN_OR_RETURN(std::vector<double> values, tensors.ReadValues(name));
  for (size_t i = 0; i < values.size(); ++i) {
    // Half of it, so that less the mean it is still a float.
    if (std::fabs(values[i]) <= std::numeric_limits<float>::max() / 2) continue;
    return Refused(tensor, absl::StrFormat("element %d: %g is no finite number of half float32's range", i, values[i]));
  }
  return values;
}

// The EMA of shares that a run of FREQUENCY keeps from 0, and its correction product: each update adds 1 - momentum of
// shares that add up to 1, so that after t updates the EMA adds up to 1 - momentum^t.
absl::Status SetEma(const SafetensorsTensor& tensor, absl::Span<const double> ema, v1::LayerState* state) {
  constexpr double kSlack = 1e-3;
  double sum = 0;
  for (size_t i = 0; i < ema.size(); ++i) {
    if (ema[i] < 0 || ema[i] > 1 + kSlack) {
      return Refused(tensor, absl::StrFormat("element %d: %g is no share, from 0 to 1", i, ema[i]));
    }
    sum += ema[i];
    state->set_ema(static_cast<int>(i), static_cast<float>(ema[i]));
  }
  if (sum > 1 + kSlack) return Refused(tensor, absl::StrFormat("its shares add up to %g, more than 1", sum));
  state->set_ema_product(static_cast<float>(std::clamp(1 - sum, 0.0, 1.0)));
  return absl::OkStatus();
}

// What a person should know of a layer's bias before it trains.
std::vector<std::string> WarningsOf(const ImportedLayer& layer, const balance::BalanceConfig& config,
                                    const v1::LayerSpec& spec) {
  std::vector<std::string> warnings;
  const auto warn = [&](const std::string& text) {
    warnings.push_back(absl::StrCat("layer ", QuotedName(layer.layer), ": ", text));
  };
  if (layer.least == layer.largest) {
    warn(absl::StrFormat("the bias is %g for all experts of tensor %s; was it ever saved, or ever moved?", layer.mean,
                         QuotedName(layer.tensor)));
  }
  const float extent = std::max(-layer.least, layer.largest);
  if (config.cap > 0 && extent > config.cap) {
    warn(absl::StrFormat("the bias is up to %g from 0, and the config's cap is %g: the first step would cut it", extent,
                         config.cap));
  }
  if (layer.mean != 0 && spec.route().num_groups() > 1 &&
      spec.route().dropped_group_fill() == v1::RouteSpec::DroppedGroupFill::ZERO) {
    warn(absl::StrFormat("it routes with dropped_group_fill ZERO, where taking off the mean, %g, can change selections",
                         layer.mean));
  }
  return warnings;
}

class Importer {
 public:
  Importer(const job::JobPlan& plan, const SafetensorsSet& tensors, bool allow_half)
      : plan_(plan), tensors_(tensors), allow_half_(allow_half) {}

  // All streams of layer `index`, of which `first` is the row of the first.
  absl::Status Import(int index, const checkpoint::TensorNames& names, int first, v1::JobState* job) {
    const v1::LayerSpec& spec = plan_.effective.layers(index);
    const balance::BalanceConfig& config = plan_.balance[first];
    EVENKEEL_ASSIGN_OR_RETURN(const std::vector<double> bias, ReadFinite(tensors_, names.bias, allow_half_));
    std::vector<double> ema;
    const bool takes_ema = !names.ema.empty() && config.rule == balance::Rule::kFrequency;
    if (takes_ema) {
      EVENKEEL_ASSIGN_OR_RETURN(ema, ReadFinite(tensors_, names.ema, allow_half_));
    } else if (!names.ema.empty()) {
      result_.warnings.push_back(absl::StrCat("layer ", QuotedName(spec.name()), ": the EMA of tensor ",
                                              QuotedName(names.ema),
                                              " is of rule FREQUENCY, which the job has not; "
                                              "its own begins at 0"));
    }
    const size_t experts = spec.num_experts();
    for (size_t begin = 0; begin < bias.size(); begin += experts) {
      v1::LayerState* state = job->mutable_layers(first + static_cast<int>(begin / experts));
      const absl::Span<const double> stream = absl::MakeSpan(bias).subspan(begin, experts);
      SetBias(stream, config, state);
      if (takes_ema) {
        EVENKEEL_RETURN_IF_ERROR(
            SetEma(tensors_.Tensor(names.ema), absl::MakeSpan(ema).subspan(begin, experts), state));
      }
      ImportedLayer layer = Describe(names, stream, config, *state);
      if (!takes_ema) layer.ema_tensor.clear();
      const std::vector<std::string> warnings = WarningsOf(layer, config, spec);
      result_.warnings.insert(result_.warnings.end(), warnings.begin(), warnings.end());
      result_.layers.push_back(std::move(layer));
    }
    return absl::OkStatus();
  }

  BiasImport& result() { return result_; }

 private:
  static void SetBias(absl::Span<const double> values, const balance::BalanceConfig& config, v1::LayerState* state) {
    const std::vector<float> bias = balance::Recentred(values, config.target);
    *state->mutable_bias() = {bias.begin(), bias.end()};
  }

  ImportedLayer Describe(const checkpoint::TensorNames& names, absl::Span<const double> values,
                         const balance::BalanceConfig& config, const v1::LayerState& state) const {
    ImportedLayer layer;
    layer.layer = state.layer();
    layer.stream = state.stream();
    layer.tensor = names.bias;
    layer.ema_tensor = names.ema;
    layer.type = std::string(tensors_.Tensor(names.bias).type.name);
    layer.mean = balance::OffCentre(values, config.target);
    layer.least = *std::min_element(state.bias().begin(), state.bias().end());
    layer.largest = *std::max_element(state.bias().begin(), state.bias().end());
    return layer;
  }

  const job::JobPlan& plan_;
  const SafetensorsSet& tensors_;
  const bool allow_half_;
  BiasImport result_;
};

}  // namespace

absl::StatusOr<BiasImport> ImportBiases(const job::JobPlan& plan, const NamingOptions& naming,
                                        const SafetensorsSet& tensors, bool allow_half, v1::JobState* state) {
  EVENKEEL_ASSIGN_OR_RETURN(const TensorsFound found, TensorsToRead(naming, plan.effective, tensors));
  Importer importer(plan, tensors, allow_half);
  for (int i = 0; i < plan.effective.layers_size(); ++i) {
    const int first = plan.layers.Find(plan.effective.layers(i).name());
    EVENKEEL_RETURN_IF_ERROR(importer.Import(i, found.names[i], first, state));
  }
  for (const std::string& tensor : found.left_over) {
    importer.result().warnings.push_back(absl::StrCat("tensor ", QuotedName(tensor), " is of no layer of the job"));
  }
  return std::move(importer.result());
}

}  // namespace evenkeel::tools
