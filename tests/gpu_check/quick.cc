#include "tests/gpu_check/quick.h"

namespace evenkeel::gpu_check {
namespace {

bool quick = false;

}  // namespace

bool Quick() { return quick; }
void SetQuick() { quick = true; }

}  // namespace evenkeel::gpu_check
