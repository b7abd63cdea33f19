#include "triangle_attention/cpu_blocks.h"

#include <algorithm>

#include "common/parallel.h"

namespace structdiff {
namespace attention {
namespace {

constexpr int64_t kSmallTable = 1 << 14;  // below, a bias is not worth waking other threads for
constexpr int64_t kRun = 128;             // numbers of one query that are read together

// What one task reads: for each query numbers of keys in order, `stride` apart; those of all heads may lie between.
struct Source {
  int64_t offset, query, stride;
  int64_t heads;  // side by side, or 1
};

// Four queries by four numbers at a time.
void lay_out(const structdiff_tensor& bias, const Source& source, const Block& block, int64_t queries, int64_t keys,
             int64_t head_step, float* to) {
  const int width = block.queries();
  const int64_t all = keys * source.heads;
  alignas(64) float rows[4][kRun];
  for (int q = 0; q < width; q += 4) {
    const int here = static_cast<int>(std::min<int64_t>(4, std::max<int64_t>(0, queries - block.first - q)));
    for (int r = here; r < 4; ++r) std::fill_n(rows[r], kRun, 0.0f);
    for (int64_t begin = 0; begin < all; begin += kRun) {
      const int64_t count = std::min(kRun, all - begin);
      for (int r = 0; r < here; ++r)
        read_row(bias, source.offset + (block.first + q + r) * source.query + begin * source.stride, source.stride,
                 count, kLog2e, rows[r]);
      for (int64_t at = 0; at < count; at += 4) {
        alignas(16) float turned[4][4];
        transpose(4, 4, rows[0] + at, kRun, turned[0], 4);
        for (int64_t each = at; each < std::min(at + 4, count); ++each) {
          const int64_t key = (begin + each) / source.heads, head = (begin + each) % source.heads;
          std::memcpy(to + head * head_step + key * width + q, turned[each - at], sizeof turned[0]);
        }
      }
    }
  }
}

}  // namespace

BiasBlocks::BiasBlocks(const structdiff_tensor& bias, const Sizes& s, const Blocks& blocks, int32_t num_threads)
    : sizes_(s), lanes_(blocks.lanes()) {
  const int64_t step = lanes_ * s.keys;
  values_.reset(static_cast<float*>(::operator new[](sizeof(float) * s.tables() * step, std::align_val_t(64))));
  const bool together = bias.stride[1] == 1 && bias.stride[3] == s.heads;
  const int32_t threads = s.tables() * step < kSmallTable ? 1 : num_threads;
  parallel_for((s.shared_bias ? 1 : s.batch) * blocks.count(), threads, [&](int64_t index, int32_t) {
    const int64_t batch = index / blocks.count();
    const Block block = blocks[index % blocks.count()];
    for (int64_t head = 0; head < (together ? 1 : s.heads); ++head) {
      const int64_t offset = batch * bias.stride[0] + head * bias.stride[1];
      const Source source{offset, bias.stride[2], together ? 1 : bias.stride[3], together ? s.heads : 1};
      lay_out(bias, source, block, s.queries, s.keys, step,
              values_.get() + (batch * s.heads + head) * step + block.first * s.keys);
    }
  });
}

}  // namespace attention
}  // namespace structdiff
