#include "client/examples/text_tokens.h"

#include <string>
#include <utility>
#include <vector>

#include "client/examples/text_source.h"
#include "client/examples/toy_model.h"

namespace text_worker {
namespace {

using evenkeel::Result;
using evenkeel::Status;
using evenkeel::StatusCode;

class Source : public TokenSource {
 public:
  Source(const Flags& flags, std::string text)
      : text_(std::move(text)),
        share_(text_.size(), flags.rank, flags.world_size, flags.tokens),
        model_(flags.seed, flags.hidden, flags.layers, flags.experts) {}

  void BeginStep(uint64_t step) override { share_.Positions(step, &positions_); }

  void Take(int64_t first, int64_t rows) override {
    rows_ = rows;
    model_.Embed(text_, positions_.data() + first, rows);
  }

  Result<evenkeel::Tokens> Tokens(int layer) override {
    evenkeel::Tokens tokens;
    tokens.rows = rows_;
    tokens.logits = model_.Logits(layer);
    tokens.logits_stride = model_.logits_stride();
    return tokens;
  }

 private:
  const std::string text_;
  const TextShare share_;
  ToyModel model_;
  std::vector<size_t> positions_;
  int64_t rows_ = 0;
};

}  // namespace

Result<std::unique_ptr<TokenSource>> TextTokens(const Flags& flags) {
  Result<std::string> text = ReadText(flags.text);
  if (!text.ok()) return text.status();
  const size_t needed = TextShare::kChunk * flags.world_size;
  if (text->size() < needed) {
    return Status(StatusCode::kInvalidArgument, "--text has " + std::to_string(text->size()) + " bytes; " +
                                                    std::to_string(flags.world_size) + " workers need " +
                                                    std::to_string(needed));
  }
  return std::unique_ptr<TokenSource>(std::make_unique<Source>(flags, *std::move(text)));
}

}  // namespace text_worker
