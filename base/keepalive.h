#pragma once

namespace evenkeel {

// A client of ours pings this often, in a call or not. A server allows twice as much, for the network shakes the
// intervals: one that allowed less than its clients ping would cut them off again and again.
inline constexpr int kClientPingMs = 20'000;
inline constexpr int kServerMinPingMs = kClientPingMs / 2;

}  // namespace evenkeel
