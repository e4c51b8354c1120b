#include "server/core/simulation/network.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace evenkeel::core::simulation {

Link::Link(const Network* network, absl::string_view name)
    : network_(network),
      to_server_(network->seed, absl::StrCat(name, ">")),
      from_server_(network->seed, absl::StrCat(name, "<")) {}

bool Link::Strikes(bool drawn, const char* what, const Way& way) {
  if (!drawn || !network_->fate->Strikes(absl::StrCat(what, ":", way.name, way.sent))) return false;
  network_->journal->Count(absl::StrCat("message ", what));
  network_->journal->Note("message ", way.name, way.sent, " is ", what);
  return true;
}

// Every message takes as many numbers, so that the fate of one does not hang on that of those before it.
void Link::Send(Direction direction, EventLoop::Event deliver) {
  Way& way = direction == Direction::kToServer ? to_server_ : from_server_;
  const NetworkFaults& faults = network_->faults;
  if (closed_) return;
  ++way.sent;
  const int delay_ms = way.random.Between(1, kUsualDelayMs);
  const int long_delay_ms = way.random.Between(1, std::max(faults.max_delay_ms, kUsualDelayMs));
  const bool lost = way.random.Percent(faults.lost);
  const bool doubled = way.random.Percent(faults.doubled);
  const bool late = way.random.Percent(faults.late);
  if (IsCut(direction)) return network_->journal->Count("message cut off");
  if (Strikes(lost, "lost", way)) return;
  if (Strikes(doubled, "doubled", way)) Deliver(&way, way.sent, long_delay_ms, deliver);
  Deliver(&way, way.sent, Strikes(late, "late", way) ? long_delay_ms : delay_ms, std::move(deliver));
}

void Link::Deliver(Way* way, uint64_t message, int delay_ms, EventLoop::Event deliver) {
  network_->loop->After(delay_ms, [this, way, message, late = delay_ms > kUsualDelayMs, deliver = std::move(deliver)] {
    if (closed_ && late) return;
    if (message < way->newest_delivered) network_->journal->Count("message overtaken");
    way->newest_delivered = std::max(way->newest_delivered, message);
    deliver();
  });
}

void Link::Cut(Direction direction, int duration_ms) {
  const int64_t until_ms = network_->loop->now_ms() + duration_ms;
  if (direction != Direction::kFromServer) to_server_.cut_until_ms = until_ms;
  if (direction != Direction::kToServer) from_server_.cut_until_ms = until_ms;
}

}  // namespace evenkeel::core::simulation
