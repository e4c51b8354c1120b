#pragma once

namespace evenkeel::gpu_check {

// Whether tests are to be small, as under compute-sanitizer, where a kernel takes a hundred times as long. Set once,
// before any test is registered.
bool Quick();
void SetQuick();

}  // namespace evenkeel::gpu_check
