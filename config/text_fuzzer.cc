#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "config/balance_config.h"
#include "config/route_spec.h"
#include "config/text.h"
#include "evenkeel/v1/balance_config.pb.h"
#include "evenkeel/v1/coordinator_config.pb.h"
#include "evenkeel/v1/route_spec.pb.h"

namespace evenkeel::config {
namespace {

// No text may crash the reader or what its messages are turned into, and what is refused leaves no trace.
void ReadAll(absl::string_view text) {
  v1::BalanceConfig balance;
  if (!ParseText(text, "fuzz", &balance).ok()) {
    EVENKEEL_CHECK(balance.ByteSizeLong() == 0);
  } else if (const auto config = BalanceConfigFromProto(balance); config.ok()) {
    const bool is_valid = balance::Validate(*config, /*num_experts=*/8).ok();
    const auto again = BalanceConfigFromProto(BalanceConfigToProto(*config));
    EVENKEEL_CHECK(again.ok() && balance::Validate(*again, 8).ok() == is_valid);
  }

  v1::RouteSpec route;
  if (ParseText(text, "fuzz", &route).ok()) {
    const auto spec = RouteSpecFromProto(route);
    EVENKEEL_CHECK(!spec.ok() || (spec->top_k >= 1 && spec->top_k <= spec->num_experts));
  } else {
    EVENKEEL_CHECK(route.ByteSizeLong() == 0);
  }

  v1::CoordinatorConfig coordinator;
  if (ParseText(text, "fuzz", &coordinator).ok()) {
    // A string that is not UTF-8 would not survive the wire.
    v1::CoordinatorConfig again;
    EVENKEEL_CHECK(again.ParseFromString(coordinator.SerializeAsString()));
  }
}

}  // namespace
}  // namespace evenkeel::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  evenkeel::config::ReadAll(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
