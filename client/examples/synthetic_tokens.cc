#include "client/examples/synthetic_tokens.h"

#include <string>
#include <utility>
#include <vector>

#include "synthetic/synthetic_load.h"

namespace text_worker {
namespace {

using evenkeel::Result;
using evenkeel::Status;
using evenkeel::StatusCode;
using evenkeel::synthetic::SyntheticLoad;
using evenkeel::synthetic::SyntheticOptions;

class Source : public TokenSource {
 public:
  Source(SyntheticLoad load, int rank) : load_(std::move(load)) { range_.contributor = rank; }

  void BeginStep(uint64_t step) override { range_.step = step; }

  void Take(int64_t first, int64_t rows) override {
    range_.first = first;
    range_.rows = rows;
    logits_.resize(rows * load_.options().num_experts);
    valid_mask_.resize(rows);
    load_.FillValidMask(range_, valid_mask_.data());
  }

  Result<evenkeel::Tokens> Tokens(int layer) override {
    load_.FillLogits(range_, layer, logits_.data(), load_.options().num_experts);
    evenkeel::Tokens tokens;
    tokens.rows = range_.rows;
    tokens.logits = logits_.data();
    tokens.logits_stride = load_.options().num_experts;
    tokens.valid_mask = valid_mask_.data();
    return tokens;
  }

 private:
  const SyntheticLoad load_;
  evenkeel::synthetic::TokenRange range_;
  std::vector<float> logits_;
  std::vector<uint8_t> valid_mask_;
};

}  // namespace

Result<std::unique_ptr<TokenSource>> SyntheticTokens(const Flags& flags) {
  SyntheticOptions options;
  options.seed = flags.seed;
  options.layers = flags.layers;
  options.num_experts = flags.experts;
  options.skew = flags.skew;
  options.drift = flags.drift;
  options.dead_experts = flags.dead_experts;
  options.padding = flags.padding;
  absl::StatusOr<SyntheticLoad> load = SyntheticLoad::Create(options);
  if (!load.ok()) return Status(StatusCode::kInvalidArgument, std::string(load.status().message()));
  return std::unique_ptr<TokenSource>(std::make_unique<Source>(*std::move(load), flags.rank));
}

}  // namespace text_worker
