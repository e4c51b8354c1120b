#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "server/core/record.h"

// Jobs for tests, every number of which follows from a tag: a mixture of two tags equals neither.
namespace evenkeel::store {

// After the commit of step `tag`, from 1: `layers` layers of `experts` experts, two contributors. It needs the state of
// the step before, or, every fourth, of the one before that; the first needs none.
v1::JobState TestState(const std::string& job, uint64_t tag, int layers = 2, int experts = 8);

// What one commit writes: the state, the epoch, the version, and both members.
core::Write TestWrite(const std::string& job, uint64_t tag, int layers = 2, int experts = 8);

// What is remembered once TestWrite was applied for every tag up to this one.
core::JobRecord TestRecord(const std::string& job, uint64_t tag);

// Every field, one record after the other, for EXPECT_EQ.
std::string Text(const core::JobRecord& record);
std::string Text(const std::vector<core::JobRecord>& records);

}  // namespace evenkeel::store
