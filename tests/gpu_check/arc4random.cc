#include <sys/random.h>

#include <cstdint>

// libstdc++'s archive wants this for std::random_device, which nothing here uses. The C library has it from 2.36 only;
// without it the program runs where there is an older one.
extern "C" uint32_t arc4random() noexcept {
  uint32_t value = 0;
  while (getrandom(&value, sizeof(value), 0) != sizeof(value)) {
  }
  return value;
}
