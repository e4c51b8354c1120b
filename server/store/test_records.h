#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "job/test_state.h"
#include "server/core/record.h"

// Jobs for tests, every number of which follows from a tag: a mixture of two tags equals neither.
namespace evenkeel::store {

using job::TestState;

// What one commit writes: the state, the epoch, the version, and both members.
core::Write TestWrite(const std::string& job, uint64_t tag, int layers = 2, int experts = 8);

// What is remembered once TestWrite was applied for every tag up to this one.
core::JobRecord TestRecord(const std::string& job, uint64_t tag);

// Every field, one record after the other, for EXPECT_EQ.
std::string Text(const core::JobRecord& record);
std::string Text(const std::vector<core::JobRecord>& records);

}  // namespace evenkeel::store
