#include "triangle_attention/cpu_problem.h"

#include <cmath>
#include <limits>

#include "common/parallel.h"
#include "common/tensors.h"

namespace structdiff {
namespace attention {
namespace {

constexpr int64_t kMaxChannels = 128;
constexpr int64_t kKeptFloats = int64_t{1} << 22;  // scratch memory of up to 16 MiB a thread is kept
constexpr int64_t kSmallTable = 1 << 14;           // below, a bias is not worth waking other threads for

float* aligned_floats(int64_t count) {
  return static_cast<float*>(::operator new[](sizeof(float) * count, std::align_val_t(64)));
}

// One line of the table, key after key.
template <class T>
void copy_line(const T* from, int64_t stride, const Sizes& s, float* to) {
  if (stride == 1)
    for (int64_t k = 0; k < s.keys; ++k) to[k] = in_base_2(widened(from[k]));
  else
    for (int64_t k = 0; k < s.keys; ++k) to[k] = in_base_2(widened(from[k * stride]));
}

// One line of four heads at once, where heads lie next to each other: each piece of memory is read once.
template <class T>
void copy_lines(const T* from, int64_t stride, const Sizes& s, float* to, int64_t to_next_head) {
  int64_t k = 0;
  for (; k + 4 <= s.keys; k += 4, from += 4 * stride) {
    alignas(16) float keys[4][4], heads[4][4];
    for (int each = 0; each < 4; ++each)
      for (int h = 0; h < 4; ++h) keys[each][h] = in_base_2(widened(from[each * stride + h]));
    transpose(4, 4, keys[0], 4, heads[0], 4);
    for (int h = 0; h < 4; ++h) std::memcpy(to + h * to_next_head + k, heads[h], sizeof heads[h]);
  }
  for (; k < s.keys; ++k, from += stride)
    for (int h = 0; h < 4; ++h) to[h * to_next_head + k] = in_base_2(widened(from[h]));
}

template <class T>
void lay_out_query(const structdiff_tensor& bias, const Sizes& s, int64_t batch, int64_t query, float* table) {
  const T* from = static_cast<const T*>(bias.data) + batch * bias.stride[0] + query * bias.stride[2];
  const int64_t next_head = s.queries * s.line;
  float* to = table + (batch * s.heads * s.queries + query) * s.line;
  int64_t h = 0;
  for (; bias.stride[1] == 1 && h + 4 <= s.heads; h += 4)
    copy_lines(from + h, bias.stride[3], s, to + h * next_head, next_head);
  for (; h < s.heads; ++h) copy_line(from + h * bias.stride[1], bias.stride[3], s, to + h * next_head);
  for (h = 0; h < s.heads; ++h)
    for (int64_t k = s.keys; k < s.line; ++k)
      to[h * next_head + k] = -std::numeric_limits<float>::infinity();
}

}  // namespace

int32_t sizes_of(const Forward& p, Sizes& s) {
  if (p.q->rank != 5 || p.bias->rank != 4 || !same_sizes(*p.k, *p.v) || !same_sizes(*p.q, *p.out))
    return STRUCTDIFF_BAD_ARGUMENT;
  const int64_t dtype = p.q->dtype;
  if (!is_float(dtype) || p.k->dtype != dtype || p.v->dtype != dtype || p.out->dtype != dtype ||
      (p.bias->dtype != dtype && p.bias->dtype != STRUCTDIFF_FLOAT32))
    return STRUCTDIFF_UNSUPPORTED;
  s.batch = p.q->size[0];
  s.rows = p.q->size[1];
  s.queries = p.q->size[2];
  s.heads = p.q->size[3];
  s.keys = p.k->size[2];
  if (p.q->size[4] > kMaxChannels || p.q->size[4] < 1) return STRUCTDIFF_UNSUPPORTED;
  s.channels = static_cast<int>(p.q->size[4]);
  const structdiff_tensor& b = *p.bias;
  if (p.k->size[0] != s.batch || p.k->size[1] != s.rows || p.k->size[3] != s.heads || p.k->size[4] != s.channels ||
      b.size[0] != s.batch || b.size[1] != s.heads || b.size[2] != s.queries || b.size[3] != s.keys || s.keys < 1)
    return STRUCTDIFF_BAD_ARGUMENT;
  if (p.mask != nullptr && (p.mask->rank != 3 || p.mask->dtype != STRUCTDIFF_BOOL || p.mask->size[0] != s.batch ||
                            p.mask->size[1] != s.rows || p.mask->size[2] != s.keys))
    return STRUCTDIFF_BAD_ARGUMENT;
  s.width = static_cast<int>(rounded_up(s.channels, kLanes));
  s.lane_keys = rounded_up(s.keys, kLanes);
  s.line = s.lane_keys + 16;
  s.shared_bias = s.batch == 1 || b.stride[0] == 0;
  return STRUCTDIFF_OK;
}

float* scratch(int64_t floats) {
  struct Memory {
    float* values = nullptr;
    int64_t count = 0;
    ~Memory() { release(); }
    void release() {
      if (values != nullptr) ::operator delete[](values, std::align_val_t(64));
      values = nullptr;
    }
  };
  static thread_local Memory memory;
  if (memory.count < floats || memory.count > kKeptFloats) {
    memory.release();
    memory.count = floats;
    memory.values = aligned_floats(floats);
  }
  return memory.values;
}

BiasTable::BiasTable(const structdiff_tensor& bias, const Sizes& sizes, int32_t num_threads, float* at)
    : sizes_(sizes), values_(at) {
  const int64_t batches = sizes.shared_bias ? 1 : sizes.batch;
  const int32_t threads = sizes.tables() * sizes.queries * sizes.keys < kSmallTable ? 1 : num_threads;
  parallel_for(batches * sizes.queries, threads, [&](int64_t index, int32_t) {
    const int64_t batch = index / sizes.queries, query = index % sizes.queries;
    if (bias.dtype == STRUCTDIFF_FLOAT16)
      lay_out_query<Half>(bias, sizes, batch, query, values_);
    else if (bias.dtype == STRUCTDIFF_BFLOAT16)
      lay_out_query<Bfloat>(bias, sizes, batch, query, values_);
    else
      lay_out_query<float>(bias, sizes, batch, query, values_);
  });
}

Keys keys_of(const structdiff_tensor* mask, const Sizes& s, int64_t batch, int64_t row, float* penalty) {
  if (mask == nullptr) return {s.keys, false};
  const uint8_t* exists = static_cast<const uint8_t*>(mask->data) + batch * mask->stride[0] + row * mask->stride[1];
  Keys found;
  int64_t number = 0;
  for (int64_t k = 0; k < s.lane_keys; ++k) {
    const bool there = k < s.keys && exists[k * mask->stride[2]] != 0;
    penalty[k] = there ? 0.0f : -std::numeric_limits<float>::infinity();
    number += there;
    if (there) found.last = k + 1;
  }
  const int64_t whole = rounded_up(found.last, kLanes);
  found.holes = number < (whole < s.keys ? whole : s.keys);
  return found;
}

}  // namespace attention
}  // namespace structdiff
