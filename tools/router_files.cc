#include "tools/router_files.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "adapters/hf/model_routing.h"
#include "base/status_macros.h"
#include "config/route_spec.h"
#include "config/text.h"
#include "evenkeel/v1/route_spec.pb.h"
#include "tools/model_layer.h"
#include "tools/npy/npy_check.h"

namespace evenkeel::tools {
namespace {

absl::Status In(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

// A router and, where a model has it, what it is called there.
struct Router {
  routing::RouteSpec spec;
  std::string layer;
};

absl::StatusOr<Router> ReadRouter(const RouterFiles& files) {
  if (files.model.empty()) {
    v1::RouteSpec message;
    EVENKEEL_RETURN_IF_ERROR(config::ParseFile(files.spec, &message));
    const absl::StatusOr<routing::RouteSpec> spec = config::RouteSpecFromProto(message);
    if (!spec.ok()) return In(files.spec, spec.status());
    return Router{*spec, ""};
  }
  EVENKEEL_ASSIGN_OR_RETURN(const hf::ModelRouting model, hf::ReadModelConfigFile(files.model));
  const absl::StatusOr<const hf::MoeLayer*> layer = ChooseLayer(model, files.layer);
  if (!layer.ok()) return In(files.model, layer.status());
  return Router{(*layer)->spec, (*layer)->name};
}

// An optional input: nothing without a path.
absl::Status ReadOptional(const std::string& path, NpyType type, absl::string_view axis, int64_t size,
                          std::optional<NpyArray>* out) {
  if (path.empty()) return absl::OkStatus();
  EVENKEEL_ASSIGN_OR_RETURN(NpyArray array, ReadNpy(path));
  EVENKEEL_RETURN_IF_ERROR(CheckType(path, array, {type}));
  EVENKEEL_RETURN_IF_ERROR(CheckShape(path, array, {{axis, size}}));
  out->emplace(std::move(array));
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRouterFiles(const RouterFiles& files) {
  if (files.spec.empty() == files.model.empty()) {
    return absl::InvalidArgumentError("give one of --spec and --model");
  }
  if (!files.layer.empty() && files.model.empty()) return absl::InvalidArgumentError("--layer is of a --model");
  return absl::OkStatus();
}

routing::RouteInput RouterRows::Input() const {
  routing::RouteInput input;
  input.logits = logits.data();
  input.logits_dtype = logits.type() == NpyType::kFloat16 ? routing::DType::kF16 : routing::DType::kF32;
  input.rows = tokens();
  input.logits_stride = spec.num_experts;
  if (bias.has_value()) input.bias = bias->values<float>().data();
  if (valid.has_value()) input.valid_mask = valid->values<uint8_t>().data();
  return input;
}

absl::StatusOr<RouterRows> ReadRouterFiles(const RouterFiles& files) {
  EVENKEEL_ASSIGN_OR_RETURN(Router router, ReadRouter(files));
  const int experts = router.spec.num_experts;
  EVENKEEL_ASSIGN_OR_RETURN(NpyArray logits, ReadNpy(files.logits));
  EVENKEEL_RETURN_IF_ERROR(CheckType(files.logits, logits, {NpyType::kFloat32, NpyType::kFloat16}));
  EVENKEEL_RETURN_IF_ERROR(CheckShape(files.logits, logits, {{"tokens", kAnySize}, {"num_experts", experts}}));
  RouterRows rows{router.spec, std::move(router.layer), std::move(logits), std::nullopt, std::nullopt};
  EVENKEEL_RETURN_IF_ERROR(ReadOptional(files.bias, NpyType::kFloat32, "num_experts", experts, &rows.bias));
  EVENKEEL_RETURN_IF_ERROR(ReadOptional(files.valid, NpyType::kBool, "tokens", rows.tokens(), &rows.valid));
  return rows;
}

}  // namespace evenkeel::tools
