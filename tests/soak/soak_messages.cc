#include "tests/soak/soak_messages.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "job/test_messages.h"
#include "xxhash.h"

namespace evenkeel::soak {
namespace {

constexpr int kLayers = 2;
constexpr int kExperts = 8;
constexpr int kTopK = 2;
constexpr int kPayloads = 251;
// One push in so many has not taken its optimizer step, and nobody's counts of it move anything.
constexpr uint64_t kOneSkipIn = 4096;

v1::JobSpec SpecOf(int workers, absl::Duration patience) {
  v1::JobSpec spec;
  spec.set_name(SoakMessages::kJob);
  spec.set_contributors(workers);
  for (int i = 0; i < kLayers; ++i) *spec.add_layers() = job::TestLayer(absl::StrCat("layer", i), kExperts, kTopK);
  spec.set_missing_policy(v1::JobSpec::MissingPolicy::COMMIT_WITHOUT);
  spec.mutable_membership()->set_step_deadline_ms(absl::ToInt64Milliseconds(patience));
  spec.mutable_membership()->set_recovery_grace_ms(absl::ToInt64Milliseconds(patience));
  return spec;
}

// Experts of low index are chosen more often.
SoakMessages::Payload Draw(std::mt19937_64* random) {
  SoakMessages::Payload payload;
  payload.counts.resize(kLayers * kExperts);
  for (int layer = 0; layer < kLayers; ++layer) {
    payload.tokens.push_back(1 + (*random)() % 64);
    for (uint64_t token = 0; token < payload.tokens.back(); ++token) {
      const uint64_t first = std::min((*random)() % kExperts, (*random)() % kExperts);
      for (int slot = 0; slot < kTopK; ++slot) ++payload.counts[layer * kExperts + (first + slot) % kExperts];
    }
  }
  v1::PushRequest push;
  *push.mutable_valid_tokens() = {payload.tokens.begin(), payload.tokens.end()};
  *push.mutable_routed() = job::PackCounts(payload.counts);
  payload.bytes = grpc::Slice(push.SerializeAsString());
  return payload;
}

}  // namespace

SoakMessages::SoakMessages(uint64_t seed, int workers, absl::Duration patience)
    : seed_(seed), plan_(job::TestPlan(SpecOf(workers, patience))) {
  std::mt19937_64 random(seed);
  for (int i = 0; i < kPayloads; ++i) payloads_.push_back(soak::Draw(&random));
}

uint64_t SoakMessages::Draw(const Process& process, uint64_t step) const {
  const uint64_t place[] = {static_cast<uint64_t>(process.contributor), process.incarnation, step};
  return XXH3_64bits_withSeed(place, sizeof(place), seed_);
}

const SoakMessages::Payload& SoakMessages::PayloadOf(const Process& process, uint64_t step) const {
  return payloads_[Draw(process, step) % kPayloads];
}

bool SoakMessages::Ok(const Process& process, uint64_t step) const {
  return (Draw(process, step) >> 32) % kOneSkipIn != 0;
}

v1::JoinRequest SoakMessages::Join(const Process& process, uint64_t next_step) const {
  return job::TestJoin(plan_.effective, process.contributor, process.incarnation, next_step);
}

grpc::ByteBuffer SoakMessages::Push(const Process& process, uint64_t epoch, uint64_t step,
                                    const v1::Version& due) const {
  v1::PushRequest own;
  own.set_job(kJob);
  own.set_contributor(process.contributor);
  own.set_incarnation(process.incarnation);
  own.set_epoch(epoch);
  own.set_step(step);
  own.set_ok(Ok(process, step));
  *own.mutable_routed_with() = due;
  // A message and another, one after the other, are both.
  const grpc::Slice parts[] = {grpc::Slice(own.SerializeAsString()), PayloadOf(process, step).bytes};
  return grpc::ByteBuffer(parts, 2);
}

}  // namespace evenkeel::soak
