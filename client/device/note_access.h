#pragma once

#include <cstddef>

#if defined(__SANITIZE_THREAD__)
extern "C" void __tsan_read_range(void* address, unsigned long size);
extern "C" void __tsan_write_range(void* address, unsigned long size);
#endif

namespace evenkeel::client {

// Tell ThreadSanitizer what is read or written by functions of the C library, into which it does not look.
inline void NoteRead(const void* address, size_t bytes) {
#if defined(__SANITIZE_THREAD__)
  __tsan_read_range(const_cast<void*>(address), bytes);
#endif
}
inline void NoteWrite(void* address, size_t bytes) {
#if defined(__SANITIZE_THREAD__)
  __tsan_write_range(address, bytes);
#endif
}

}  // namespace evenkeel::client
