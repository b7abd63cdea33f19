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

// Four queries by four numbers at a time, all queries of a run of numbers before the next run: what is written stays in the
// first-level cache until its lines are whole.
void lay_out(const structdiff_tensor& bias, const Source& source, const Block& block, int64_t queries, int64_t keys,
             int64_t head_step, float* to) {
  const int width = block.queries();
  const int64_t all = keys * source.heads, next_key = width - source.heads * head_step;
  alignas(64) float rows[4][kRun];
  for (int64_t begin = 0; begin < all; begin += kRun) {
    const int64_t count = std::min(kRun, all - begin);
    for (int q = 0; q < width; q += 4) {
      const int here = static_cast<int>(std::min<int64_t>(4, std::max<int64_t>(0, queries - block.first - q)));
      for (int r = here; r < 4; ++r) std::fill_n(rows[r], kRun, 0.0f);
      for (int r = 0; r < here; ++r) {
        read_row(bias, source.offset + (block.first + q + r) * source.query + begin * source.stride, source.stride,
                 count, 1.0f, rows[r]);
        for (int64_t at = 0; at < count; ++at) rows[r][at] = in_base_2(rows[r][at]);
      }
      int64_t head = begin % source.heads;
      float* target = to + head * head_step + begin / source.heads * width + q;
      for (int64_t at = 0; at < count; at += 4) {
        alignas(16) float turned[4][4];
        transpose(4, 4, rows[0] + at, kRun, turned[0], 4);
        for (int64_t each = 0; each < std::min<int64_t>(4, count - at); ++each) {
          std::memcpy(target, turned[each], sizeof turned[0]);
          target += head_step;
          if (++head == source.heads) head = 0, target += next_key;
        }
      }
    }
  }
}

}  // namespace

BiasBlocks::BiasBlocks(const structdiff_tensor& bias, const Sizes& s, const Blocks& blocks, int32_t num_threads,
                       float* at)
    : sizes_(s), lanes_(blocks.lanes()), values_(at) {
  const int64_t step = table_floats(s, lanes_);
  const bool together = bias.stride[1] == 1 && bias.stride[3] == s.heads;
  const int32_t threads = floats(s, blocks) < kSmallTable ? 1 : num_threads;
  parallel_for((s.shared_bias ? 1 : s.batch) * blocks.count(), threads, [&](int64_t index, int32_t) {
    const int64_t batch = index / blocks.count();
    const Block block = blocks[index % blocks.count()];
    for (int64_t head = 0; head < (together ? 1 : s.heads); ++head) {
      const int64_t offset = batch * bias.stride[0] + head * bias.stride[1];
      const Source source{offset, bias.stride[2], together ? 1 : bias.stride[3], together ? s.heads : 1};
      lay_out(bias, source, block, s.queries, s.keys, step,
              values_ + (batch * s.heads + head) * step + block.first * s.keys);
    }
  });
}

}  // namespace attention
}  // namespace structdiff
