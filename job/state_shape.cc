#include "job/state_shape.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "job/layer_table.h"
#include "kernels/balance/balance_config.h"

namespace evenkeel::job {
namespace {

template <typename... Words>
absl::Status Invalid(const Words&... words) {
  return absl::InvalidArgumentError(absl::StrCat(words...));
}

std::string Quoted(absl::string_view name) { return absl::StrCat("\"", absl::CHexEscape(name), "\""); }

absl::Status CheckSpec(const v1::JobSpec& spec) {
  if (spec.name().empty()) return Invalid("spec.name is empty");
  if (spec.contributors() < 1) return Invalid("spec.contributors is ", spec.contributors(), "; at least 1");
  if (spec.layers_size() == 0) return Invalid("spec.layers is empty");
  for (int i = 0; i < spec.layers_size(); ++i) {
    const v1::LayerSpec& layer = spec.layers(i);
    if (i > 0 && layer.name() <= spec.layers(i - 1).name()) {
      return Invalid("spec.layers: ", Quoted(layer.name()), " comes after ", Quoted(spec.layers(i - 1).name()),
                     "; names ascend");
    }
    if (layer.num_experts() < 1 || layer.num_experts() > balance::kMaxExperts) {
      return Invalid("spec.layers: ", Quoted(layer.name()), " has num_experts ", layer.num_experts(), "; 1 to ",
                     balance::kMaxExperts);
    }
    if (layer.top_k() < 1 || layer.top_k() > layer.num_experts()) {
      return Invalid("spec.layers: ", Quoted(layer.name()), " has top_k ", layer.top_k(), "; 1 to ",
                     layer.num_experts());
    }
    if (layer.streams() < 0 || layer.streams() > kMaxStreams) {
      return Invalid("spec.layers: ", Quoted(layer.name()), " has streams ", layer.streams(), "; 0 to ", kMaxStreams);
    }
  }
  return absl::OkStatus();
}

template <typename Values>
absl::Status CheckSize(const char* field, const Values& values, int experts) {
  if (values.size() == experts) return absl::OkStatus();
  return Invalid(field, " has ", values.size(), " entries for ", experts, " experts");
}

template <typename Values>
absl::Status CheckFloats(const char* field, const Values& values, int experts) {
  EVENKEEL_RETURN_IF_ERROR(CheckSize(field, values, experts));
  const auto odd = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (odd == values.end()) return absl::OkStatus();
  return Invalid(field, "[", odd - values.begin(), "] is ", *odd);
}

absl::Status CheckLayer(const v1::LayerState& layer, const v1::LayerSpec& spec, uint64_t step) {
  const int experts = spec.num_experts();
  EVENKEEL_RETURN_IF_ERROR(CheckFloats("bias", layer.bias(), experts));
  EVENKEEL_RETURN_IF_ERROR(CheckFloats("ema", layer.ema(), experts));
  if (!layer.momentum().empty()) EVENKEEL_RETURN_IF_ERROR(CheckFloats("momentum", layer.momentum(), experts));
  EVENKEEL_RETURN_IF_ERROR(CheckSize("pending_counts", layer.pending_counts(), experts));
  EVENKEEL_RETURN_IF_ERROR(CheckSize("last_counts", layer.last_counts(), experts));
  const int dispatched = spec.counts_dispatched() ? experts : 0;
  EVENKEEL_RETURN_IF_ERROR(CheckSize("last_dispatched", layer.last_dispatched(), dispatched));
  if (!(layer.ema_product() >= 0 && layer.ema_product() <= 1)) {
    return Invalid("ema_product is ", layer.ema_product(), "; 0 to 1");
  }
  if (layer.last_commit() > step) return Invalid("last_commit is ", layer.last_commit(), ", after step ", step);
  if (layer.last_update() > layer.last_commit()) {
    return Invalid("last_update is ", layer.last_update(), ", after last_commit ", layer.last_commit());
  }
  return absl::OkStatus();
}

absl::Status CheckLayers(const v1::JobState& state) {
  int next = 0;
  for (const v1::LayerSpec& spec : state.spec().layers()) {
    const uint32_t streams = StreamsOf(spec);
    for (uint32_t stream = 0; stream < streams; ++stream, ++next) {
      if (next >= state.layers_size()) {
        return Invalid("layers has ", next, " entries; there is none for ", Quoted(spec.name()), " stream ", stream);
      }
      const v1::LayerState& layer = state.layers(next);
      const std::string place = absl::StrCat("layers[", next, "]");
      if (layer.layer() != spec.name() || layer.stream() != stream) {
        return Invalid(place, " is of ", Quoted(layer.layer()), " stream ", layer.stream(), "; the spec has ",
                       Quoted(spec.name()), " stream ", stream, " there");
      }
      const absl::Status status = CheckLayer(layer, spec, state.version().step());
      if (!status.ok()) return Invalid(place, ".", status.message());
    }
  }
  if (next < state.layers_size()) return Invalid("layers has ", state.layers_size(), " entries; the spec ", next);
  return absl::OkStatus();
}

absl::Status CheckParticipants(const v1::JobState& state) {
  int previous = -1;
  for (const int participant : state.last_commit().participants()) {
    if (participant <= previous || participant >= state.spec().contributors()) {
      return Invalid("last_commit.participants: ", participant, " comes after ", previous, "; they ascend, below ",
                     state.spec().contributors());
    }
    previous = participant;
  }
  return absl::OkStatus();
}

absl::Status CheckStaleVersions(const v1::JobState& state) {
  uint64_t least = 0;
  for (const v1::Version& version : state.last_commit().stale_versions()) {
    if (version.step() < least || version.step() >= state.version().step()) {
      return Invalid("last_commit.stale_versions: step ", version.step(), " comes after ", least,
                     " steps; they ascend, ", "below version.step ", state.version().step());
    }
    least = version.step() + 1;
  }
  return absl::OkStatus();
}

absl::Status CheckMove(const v1::JobState& state) {
  if (!state.has_move()) return absl::OkStatus();
  const v1::Move& move = state.move();
  if (move.base_step() >= state.version().step()) {
    return Invalid("move.base_step is ", move.base_step(), "; below version.step ", state.version().step());
  }
  if (move.routed_with().step() > move.base_step()) {
    return Invalid("move.routed_with.step is ", move.routed_with().step(), ", after base_step ", move.base_step());
  }
  if (move.layers_size() != state.layers_size()) {
    return Invalid("move.layers has ", move.layers_size(), " entries, layers ", state.layers_size());
  }
  for (int i = 0; i < move.layers_size(); ++i) {
    const int counts = move.layers(i).counts_size();
    if (counts == 0 || counts == state.layers(i).bias_size()) continue;
    return Invalid("move.layers[", i, "].counts has ", counts, " entries for ", state.layers(i).bias_size(),
                   " experts");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckStateShape(const v1::JobState& state) {
  EVENKEEL_RETURN_IF_ERROR(CheckSpec(state.spec()));
  if (state.position() > state.version().step()) {
    return Invalid("position is ", state.position(), ", after version.step ", state.version().step());
  }
  EVENKEEL_RETURN_IF_ERROR(CheckLayers(state));
  EVENKEEL_RETURN_IF_ERROR(CheckParticipants(state));
  EVENKEEL_RETURN_IF_ERROR(CheckStaleVersions(state));
  return CheckMove(state);
}

}  // namespace evenkeel::job
