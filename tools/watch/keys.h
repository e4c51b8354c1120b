#pragma once

#include <string>
#include <vector>

namespace evenkeel::tools {

// What a person can press in `evenkeel watch`.
enum class Key { kQuit, kUp, kDown, kNextJob, kPreviousJob };

// Takes the keys that `bytes` of a terminal begin with, and leaves what may be the beginning of another. What is none
// of them is passed over.
std::vector<Key> TakeKeys(std::string* bytes);

}  // namespace evenkeel::tools
