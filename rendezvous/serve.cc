#include "rendezvous/serve.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/grpc_status.h"
#include "grpcpp/alarm.h"

namespace evenkeel::rendezvous {
namespace {

using Time = std::chrono::system_clock::time_point;

// When a call with this deadline is to be answered at the latest: a quarter of its time, and at most a second, is left
// to the answer's way back.
Time ExpiryOf(Time deadline) {
  constexpr auto kMost = std::chrono::seconds(1);
  const auto left = deadline - std::chrono::system_clock::now();
  return deadline - std::min<std::chrono::system_clock::duration>(left / 4, kMost);
}

// One call while it waits. Deletes itself when gRPC is done with it.
class Reactor final : public grpc::ServerUnaryReactor {
 public:
  Reactor(std::shared_ptr<Table> table, v1::RendezvousResponse* response, std::function<void(const absl::Status&)> told)
      : table_(std::move(table)), response_(response), told_(std::move(told)) {}

  // gRPC deletes the reactor no sooner than it has been given it, so it outlives an early answer.
  void Start(const v1::RendezvousRequest& request, Time deadline) {
    call_ = table_->Call(request, [this](absl::StatusOr<Answer> answer) {
      if (answer.ok()) *response_ = **answer;
      if (told_) told_(answer.status());
      Finish(ToGrpcStatus(answer.status()));
    });
    // The alarm may ring when the reactor is gone: it knows the table only.
    expiry_.Set(ExpiryOf(deadline), [table = table_, call = call_](bool rang) {
      if (rang) table->Expire(call);
    });
  }

 private:
  void OnCancel() override { table_->Cancel(call_); }
  void OnDone() override { delete this; }

  const std::shared_ptr<Table> table_;
  v1::RendezvousResponse* const response_;
  const std::function<void(const absl::Status&)> told_;
  // Set before gRPC knows the reactor, and so before OnCancel.
  Table::CallId call_ = 0;
  grpc::Alarm expiry_;
};

}  // namespace

grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const v1::RendezvousRequest& request,
                                v1::RendezvousResponse* response, std::shared_ptr<Table> table,
                                std::function<void(const absl::Status&)> told) {
  auto* reactor = new Reactor(std::move(table), response, std::move(told));
  reactor->Start(request, context->deadline());
  return reactor;
}

}  // namespace evenkeel::rendezvous
