#include "common/floats.h"

#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace structdiff {
namespace {

constexpr size_t kLargePage = size_t{1} << 21;
constexpr int64_t kKept = int64_t{1} << 25;  // floats

struct Table {
  float* at;
  int64_t count;
};

// Whoever takes it leaves nothing behind, so that no lock is needed, and none can be held over a fork().
std::atomic<Table*> kept{nullptr};

void free_table(Table* table) {
  if (table != nullptr) std::free(table->at);
  delete table;
}

}  // namespace

void wish_for_large_pages(void* at, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  const uintptr_t first = (reinterpret_cast<uintptr_t>(at) + kLargePage - 1) / kLargePage * kLargePage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(at) + bytes) / kLargePage * kLargePage;
  if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#else
  (void)at, (void)bytes;
#endif
}

void wish_for_large_pages(const structdiff_tensor& tensor) {
  int64_t extent = 1;
  for (int64_t axis = 0; axis < tensor.rank; ++axis) extent += (tensor.size[axis] - 1) * tensor.stride[axis];
  const int64_t bytes = extent * (tensor.dtype == STRUCTDIFF_FLOAT32 ? 4 : 2);
  if (bytes > 0) wish_for_large_pages(tensor.data, static_cast<size_t>(bytes));
}

void FreeFloats::operator()(float* at) const { std::free(at); }

Floats floats(int64_t count) {
  const size_t wanted = sizeof(float) * static_cast<size_t>(count < 1 ? 1 : count);
  const size_t unit = wanted >= 2 * kLargePage ? kLargePage : 64, bytes = (wanted + unit - 1) / unit * unit;
  void* at = nullptr;
  if (posix_memalign(&at, unit, bytes) != 0) throw std::bad_alloc();
  wish_for_large_pages(at, bytes);
  return Floats(static_cast<float*>(at));
}

KeptFloats::KeptFloats(int64_t count) : count_(count) {
  Table* table = kept.exchange(nullptr);
  if (table != nullptr && table->count >= count) {
    at_ = table->at;
    count_ = table->count;
    delete table;
    return;
  }
  free_table(table);
  at_ = floats(count).release();
}

KeptFloats::~KeptFloats() {
  Table* table = count_ <= kKept ? new (std::nothrow) Table{at_, count_} : nullptr;
  if (table == nullptr)
    std::free(at_);
  else
    free_table(kept.exchange(table));
}

}  // namespace structdiff
