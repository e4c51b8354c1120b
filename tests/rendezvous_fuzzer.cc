// Ranks that call, repeat, go and run out of time, in any order and with any numbers: each call is answered once, and
// who is answered well has one value of each rank of its exchange, its own in its place.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/error_detail.h"
#include "evenkeel/v1/bias_coordinator.pb.h"
#include "rendezvous/table.h"
#include "tests/random_message.h"

namespace evenkeel::tests {
namespace {

class Sequence {
 public:
  explicit Sequence(absl::string_view bytes) : choices_(bytes), table_({2'000, 4'000, 4'000}) {}

  void Run() {
    while (!choices_.AtEnd()) One();
    table_.Stop();
    EVENKEEL_CHECK(waiting_.empty());
  }

 private:
  void One() {
    const uint64_t what = choices_.Below(16);
    if (what == 0) return table_.Cancel(choices_.Below(last_ + 2));
    if (what == 1) return table_.Expire(choices_.Below(last_ + 2));
    if (what == 2 && choices_.Below(64) == 0) return table_.Stop();
    Call();
  }

  void Call() {
    v1::RendezvousRequest request;
    request.set_job("job");
    request.set_group(choices_.Below(2) == 0 ? "world" : "pair");
    request.set_key("key");
    request.set_size(request.group() == "pair" ? 2 : 3);
    request.set_rank(static_cast<int>(choices_.Below(request.size())));
    request.set_value(std::string(choices_.Below(8) == 0 ? 900 : 3, static_cast<char>('a' + choices_.Below(3))));
    if (choices_.Below(8) == 0) Mutate(&choices_, &request);
    const uint64_t mine = ++calls_;
    waiting_[mine] = request;
    last_ = table_.Call(request, [this, mine](const absl::StatusOr<rendezvous::Answer>& answer) {
      const auto found = waiting_.find(mine);
      EVENKEEL_CHECK(found != waiting_.end());
      Check(found->second, answer);
      waiting_.erase(found);
    });
  }

  static void Check(const v1::RendezvousRequest& request, const absl::StatusOr<rendezvous::Answer>& answer) {
    if (!answer.ok()) {
      const bool is_gone = absl::IsCancelled(answer.status());
      EVENKEEL_CHECK(is_gone || ReasonOf(answer.status()) != v1::ErrorDetail::REASON_UNSPECIFIED);
      return;
    }
    EVENKEEL_CHECK((*answer)->values_size() == request.size());
    EVENKEEL_CHECK((*answer)->values(request.rank()) == request.value());
  }

  Choices choices_;
  rendezvous::Table table_;
  uint64_t calls_ = 0;
  rendezvous::Table::CallId last_ = 0;
  std::map<uint64_t, v1::RendezvousRequest> waiting_;
};

}  // namespace
}  // namespace evenkeel::tests

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  evenkeel::tests::Sequence(absl::string_view(reinterpret_cast<const char*>(data), size)).Run();
  return 0;
}
