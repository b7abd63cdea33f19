#include "common/parallel.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "common/abi.h"

namespace structdiff {
namespace {

using Task = std::function<void(int64_t, int32_t)>;

using Clock = std::chrono::steady_clock;

// What compilers make of `#pragma omp parallel`: GCC's runtime has it, and those of LLVM and Intel for its sake.
using Team = void (*)(void (*body)(void*), void* work, unsigned num_threads, unsigned flags);
std::atomic<Team> team{nullptr};
std::atomic<pid_t> team_of{0};

// A team ends when all of its threads have been there, own threads when the pieces are done. So where others want the
// cores as well a team waits for threads that have no core: if some did not come within this time, own threads do so
// many calls before the team is asked again.
constexpr std::chrono::microseconds kLate{200};
constexpr int32_t kCallsWithout = 64;
std::atomic<int32_t> calls_without{0};

// Pieces for a team. Threads are numbered as they come.
struct Work {
  const Task& task;
  const int64_t count;
  const int32_t num_threads;
  const std::thread::id caller = std::this_thread::get_id();
  const Clock::time_point start = Clock::now();
  std::atomic<int64_t> next{0};
  std::atomic<int32_t> workers{0};
};

void do_pieces(void* given) {
  Work& work = *static_cast<Work*>(given);
  const int32_t worker = work.workers.fetch_add(1, std::memory_order_relaxed);
  for (int64_t index; (index = work.next.fetch_add(1, std::memory_order_relaxed)) < work.count;)
    work.task(index, worker);
  if (work.caller == std::this_thread::get_id() && work.workers.load(std::memory_order_relaxed) < work.num_threads &&
      Clock::now() - work.start > kLate)
    calls_without.store(kCallsWithout, std::memory_order_relaxed);
}

// Whether there is a team to be asked, and the next call is its turn.
Team team_at_hand() {
  const Team here = team.load(std::memory_order_acquire);
  if (here == nullptr || team_of.load(std::memory_order_relaxed) != getpid()) return nullptr;
  if (calls_without.load(std::memory_order_relaxed) == 0) return here;
  calls_without.fetch_sub(1, std::memory_order_relaxed);
  return nullptr;
}

// A worker looks for new work this many times before it goes to sleep: operators follow each other within microseconds.
constexpr int kLooks = 2000;

inline void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class Pool {
 public:
  void run(int64_t count, int32_t num_threads, const Task& task) {
    std::lock_guard<std::mutex> one_caller(caller_);
    grow(num_threads - 1);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      count_ = count;
      next_.store(0, std::memory_order_relaxed);
      helpers_wanted_ = num_threads - 1;
      running_ = 0;
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    work(task, count, 0);
    std::unique_lock<std::mutex> lock(mutex_);
    helpers_wanted_ = 0;  // who has not come by now is not needed
    done_.wait(lock, [this] { return running_ == 0; });
    task_ = nullptr;
  }

 private:
  // Where the system gives no more threads, those that are there do the work.
  void grow(int32_t helpers) {
    const uint64_t seen = round_.load(std::memory_order_acquire);
    try {
      for (; helpers_ < helpers; ++helpers_) std::thread([this, seen] { help(seen); }).detach();
    } catch (const std::system_error&) {
    }
  }

  void help(uint64_t seen) {
    for (;;) {
      for (int look = 0; look < kLooks && round_.load(std::memory_order_acquire) == seen; ++look) pause_briefly();
      const Task* task;
      int64_t count;
      int32_t worker;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_relaxed) != seen; });
        seen = round_.load(std::memory_order_relaxed);
        if (helpers_wanted_ == 0) continue;
        worker = helpers_wanted_--;
        ++running_;
        task = task_;
        count = count_;
      }
      work(*task, count, worker);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  void work(const Task& task, int64_t count, int32_t worker) {
    for (int64_t index; (index = next_.fetch_add(1, std::memory_order_relaxed)) < count;) task(index, worker);
  }

  std::mutex caller_, mutex_;
  std::condition_variable wake_, done_;
  std::atomic<uint64_t> round_{0};
  std::atomic<int64_t> next_{0};
  const Task* task_ = nullptr;
  int64_t count_ = 0;
  int32_t helpers_wanted_ = 0, running_ = 0, helpers_ = 0;
};

// After fork() the child has none of its parent's threads, and locks as they happened to be: it starts anew. Pools are
// never destroyed, since their threads may outlive static objects at exit.
Pool& pool() {
  static std::mutex making;
  static std::atomic<Pool*> current{nullptr};
  static std::atomic<pid_t> owner{0};
  const pid_t here = getpid();
  if (owner.load(std::memory_order_acquire) != here) {
    std::lock_guard<std::mutex> lock(making);
    if (owner.load(std::memory_order_relaxed) != here) {
      current.store(new Pool, std::memory_order_relaxed);
      owner.store(here, std::memory_order_release);
    }
  }
  return *current.load(std::memory_order_relaxed);
}

}  // namespace

void parallel_for(int64_t count, int32_t num_threads, const Task& task) {
  const int32_t threads = static_cast<int32_t>(std::min<int64_t>(num_threads, count));
  if (threads <= 1) {
    for (int64_t index = 0; index < count; ++index) task(index, 0);
    return;
  }
  // A team has as many threads as PyTorch's, however few the pieces are: another number costs more than it saves.
  if (const Team run = team_at_hand(); run != nullptr) {
    Work work{task, count, num_threads};
    return run(do_pieces, &work, static_cast<unsigned>(num_threads), 0);
  }
  pool().run(count, threads, task);
}

}  // namespace structdiff

void structdiff_share_threads(void* gomp_parallel) {
  structdiff::team_of.store(getpid());
  structdiff::team.store(reinterpret_cast<structdiff::Team>(gomp_parallel), std::memory_order_release);
}
