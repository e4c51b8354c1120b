#pragma once

#include <string>
#include <vector>

// Lists for people, short however long they are. Pure functions.
namespace evenkeel::tools {

// Ascending numbers, those in a row as one: "0-61,63".
std::string NumberRanges(const std::vector<int>& numbers);

// The first `most` of them, and how many more there are: "a, b and 12 more".
std::string FirstOf(const std::vector<std::string>& items, size_t most);

}  // namespace evenkeel::tools
