#pragma once

#include <sys/types.h>

#include <cstdint>

namespace evenkeel::load {

// What a process of this machine has used since it began, from the kernel's books.
struct ProcessUsage {
  double cpu_seconds = 0;  // of all its threads, those that have ended too; user and system
  // Voluntary and not, of the threads that live: those of a thread go with it.
  int64_t context_switches = 0;
  int64_t written_bytes = 0;  // that it made the page cache write back to disks; 0 where the kernel does not say
  // As of now, and the most that there was.
  int64_t resident_bytes = 0;
  int64_t peak_resident_bytes = 0;
  int open_files = 0;
};

// All 0 when there is no such process.
ProcessUsage UsageOf(pid_t process);

}  // namespace evenkeel::load
