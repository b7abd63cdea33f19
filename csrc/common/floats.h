// Memory for tables of floats that are written before they are read: nothing is cleared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "common/abi.h"

namespace structdiff {

struct FreeFloats {
  void operator()(float* at) const;
};
using Floats = std::unique_ptr<float[], FreeFloats>;

// Aligned to cache lines, on large pages where that is worth it. Throws std::bad_alloc.
Floats floats(int64_t count);

// The same, kept for the next call unless it is above 128 MiB, since the system clears what is fresh. One table of a
// process is kept.
class KeptFloats {
 public:
  explicit KeptFloats(int64_t count);
  ~KeptFloats();
  KeptFloats(const KeptFloats&) = delete;
  KeptFloats& operator=(const KeptFloats&) = delete;
  float* get() const { return at_; }

 private:
  float* at_;
  int64_t count_;
};

// Asks that memory come in large pages where the system has them, if it was not touched yet. It is then handed out six
// times as fast, and rows that are far apart need fewer translations of addresses. Only a wish: what the system says to
// it changes nothing.
void wish_for_large_pages(void* at, size_t bytes);
void wish_for_large_pages(const structdiff_tensor& tensor);

}  // namespace structdiff
