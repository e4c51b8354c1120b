#pragma once

namespace evenkeel::soak {

// Cuts, in the midst of whatever is on its way, the TCP connections that this process has to that port of its own
// machine, every `one_in`-th of them; both ends read its end. Answers with how many.
int CutConnectionsTo(int port, int one_in = 1);

}  // namespace evenkeel::soak
