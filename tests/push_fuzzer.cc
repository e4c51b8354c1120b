// Push, from the bytes on: whatever arrives, the coordinator answers it, and a push of the other contributor still
// commits with the counts that were valid.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/check.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "google/protobuf/stubs/logging.h"
#include "server/core/coordinator.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

// A coordinator with one job of two contributors, which fuzzed pushes reach.
struct Fixture {
  Fixture() : coordinator(v1::CoordinatorConfig()), job(SmallJobWithStreams("j", 2)) {
    core::Effects effects;
    for (int contributor = 0; contributor < 2; ++contributor) {
      joined = coordinator.Join(absl::UnixEpoch(), JoinOf(job, contributor, 1 + contributor, 1), &effects).value();
    }
  }

  core::Coordinator coordinator;
  v1::JobSpec job;
  v1::JoinResponse joined;
};

// Pushes what `bytes` say, on top of a valid push if `on_valid`, so that deep checks are reached too.
void OnePush(const std::string& bytes, bool on_valid) {
  Fixture fixture;
  v1::PushRequest push;
  if (on_valid) push = PushOf(fixture.job, 0, 1, 1, fixture.joined);
  if (!push.MergeFromString(bytes)) return;
  core::Effects effects;
  const core::PushResult result = fixture.coordinator.Push(absl::UnixEpoch(), /*call=*/1, &push, &effects);
  if (result == core::PushResult::kRefused) {
    EVENKEEL_CHECK(effects.answers.size() == 1 && !effects.answers[0].reply.status().message().empty());
  }
  EVENKEEL_CHECK(effects.commits.empty() && effects.writes.empty());
  for (int contributor = 0; contributor < 2; ++contributor) {
    v1::PushRequest good = PushOf(fixture.job, contributor, 1 + contributor, 1, fixture.joined);
    fixture.coordinator.Push(absl::UnixEpoch(), /*call=*/2 + contributor, &good, &effects);
  }
  // A fuzzed push that was counted holds its contributor's place; the good one that differs is refused.
  EVENKEEL_CHECK(effects.commits.size() == 1);
}

}  // namespace
}  // namespace evenkeel::tests

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  evenkeel::tests::OnePush(bytes, /*on_valid=*/false);
  evenkeel::tests::OnePush(bytes, /*on_valid=*/true);
  return 0;
}
