#include "tests/benchmarks/thread_team.h"

#include "base/check.h"

namespace evenkeel::benchmarks {
namespace {

// Some 50 to 100 microseconds.
constexpr int kAwake = 2000;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

ThreadTeam::ThreadTeam(int threads) {
  EVENKEEL_CHECK(threads >= 1);
  EVENKEEL_CHECK(sched_getaffinity(0, sizeof(cores_), &cores_) == 0);
  const bool enough = threads <= CPU_COUNT(&cores_);
  for (int member = 1; member < threads; ++member) {
    threads_.emplace_back([this, member, enough] {
      if (enough) KeepToOwnCore(member);
      Serve(member);
    });
  }
  if (enough) KeepToOwnCore(0);
}

ThreadTeam::~ThreadTeam() {
  {
    MutexLock lock(&mutex_);
    job_ = nullptr;
    jobs_.fetch_add(1);
  }
  begun_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
  sched_setaffinity(0, sizeof(cores_), &cores_);
}

// A system that refuses is left to itself.
void ThreadTeam::KeepToOwnCore(int member) const {
  int core = 0;
  for (int passed = 0; passed < member || !CPU_ISSET(core, &cores_); ++core) passed += CPU_ISSET(core, &cores_) ? 1 : 0;
  cpu_set_t own;
  CPU_ZERO(&own);
  CPU_SET(core, &own);
  sched_setaffinity(0, sizeof(own), &own);
}

void ThreadTeam::Run(absl::FunctionRef<void(int member)> job) {
  {
    MutexLock lock(&mutex_);
    job_ = &job;
    at_work_.store(static_cast<int>(threads_.size()));
    jobs_.fetch_add(1);
  }
  begun_.NotifyAll();
  job(0);
  for (int i = 0; at_work_.load() > 0; ++i) {
    if (i < kAwake) {
      Pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadTeam::Serve(int member) {
  uint64_t done = 0;
  while (true) {
    done = Await(done);
    if (job_ == nullptr) return;
    (*job_)(member);
    at_work_.fetch_sub(1);
  }
}

uint64_t ThreadTeam::Await(uint64_t done) {
  for (int i = 0; i < kAwake; ++i) {
    if (jobs_.load() != done) return done + 1;
    Pause();
  }
  MutexLock lock(&mutex_);
  while (jobs_.load() == done) begun_.Wait(&mutex_);
  return done + 1;
}

}  // namespace evenkeel::benchmarks
