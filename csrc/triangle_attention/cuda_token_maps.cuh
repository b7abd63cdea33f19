// Tables [batch, row, token, head, channel] as Hopper's copy engine takes them.
#pragma once

#include <type_traits>

#include "common/cuda_tensor_map.cuh"
#include "triangle_attention/cuda_call.h"

namespace structdiff::gpu {

// A table, and where token, head, row and batch are among its axes, after the channels.
struct TokenMap {
  TensorMap map;
  int token, head, row, batch;

  // One thread has the tile copied that begins at this token.
  STRUCTDIFF_DEVICE void copy(void* to, Arrivals* arrivals, int at_token, int h, int i, int b) const {
    if (head == 1 && batch == 4) {  // as tables most often lie, which needs little thought
      const bool starting = token == 2;
      const int at[5] = {0, h, starting ? at_token : i, starting ? i : at_token, b};
      copy_box(to, map, arrivals, at);
    } else {
      const auto choose = [&](int axis) { return token == axis ? at_token : head == axis ? h : row == axis ? i : b; };
      const int at[5] = {0, choose(1), choose(2), choose(3), choose(4)};
      copy_box(to, map, arrivals, at);
    }
  }
};

// Tiles of `width` channels by `tile` tokens; STRUCTDIFF_UNSUPPORTED where the table has strides that the copy engine does not
// take. Axes of one element have no stride that matters.
template <class T>
int32_t describe_tokens(
    TokenMap& map, const TokensView& view, const AttentionCall& call, int64_t tokens, int width, int tile) {
  const int64_t sizes[4] = {tokens, call.heads, call.rows, call.batch};
  const int64_t strides[4] = {view.stride[2], view.stride[3], view.stride[1], view.stride[0]};
  int axes[4] = {0, 1, 2, 3};
  // The smallest stride first, axes of one element last.
  const auto before = [&](int x, int y) {
    if ((sizes[x] == 1) != (sizes[y] == 1)) return sizes[y] == 1;
    return sizes[x] > 1 && strides[x] < strides[y];
  };
  for (int i = 1; i < 4; ++i) {
    for (int j = i; j > 0 && before(axes[j], axes[j - 1]); --j) {
      const int swapped = axes[j];
      axes[j] = axes[j - 1];
      axes[j - 1] = swapped;
    }
  }
  TableShape table{};
  table.data = view.data;
  table.bfloat = std::is_same_v<T, bfloat16>;
  table.size[0] = call.channels;
  table.stride[0] = 1;
  table.box_channels = width;
  table.box_rows = tile;
  int* places[4] = {&map.token, &map.head, &map.row, &map.batch};
  int64_t whole = call.channels;
  for (int place = 1; place <= 4; ++place) {
    const int axis = axes[place - 1];
    table.size[place] = sizes[axis];
    table.stride[place] = sizes[axis] == 1 ? divide_up<int64_t>(whole, 8) * 8 : strides[axis];
    if (table.stride[place] <= 0 || table.stride[place] % 8 != 0) return STRUCTDIFF_UNSUPPORTED;
    whole = table.stride[place] * sizes[axis];
    *places[axis] = place;
    if (axis == 0) table.box_axis = place;
  }
  return describe(map.map, table);
}

}  // namespace structdiff::gpu
