// Threads for work that is shared out piece by piece: PyTorch's, where it runs on OpenMP and says so
// (structdiff_share_threads), else our own.
//
// An OpenMP thread that has done its work looks for more for some milliseconds, on a core: a kernel that follows, on other
// threads, has one core less that long. Nothing is compiled as OpenMP, which would bring a second runtime. Pieces are
// handed out one by one from a counter, so a thread that the system holds up delays only its own piece.
#pragma once

#include <cstdint>
#include <functional>

namespace structdiff {

// Runs task(index, worker) for every index in [0, count) on up to num_threads threads, the caller's among them, and
// returns when all are done. worker is below num_threads, and two tasks that run at once have different ones: scratch
// memory can be kept a worker. Tasks must not throw and must not call parallel_for. Which thread takes which index is
// not fixed: results must not depend on it. Safe after fork(); calls from several threads wait for each other.
void parallel_for(int64_t count, int32_t num_threads, const std::function<void(int64_t index, int32_t worker)>& task);

}  // namespace structdiff
