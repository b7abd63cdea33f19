// Positions of the pair table in the registers of a warp, normalised there, as operands of matrix products.
//
// Lane l has part of position l / 4 of eight: of each 32 channels the eight from 8 (l % 4) on, a vector or two of memory. A
// product over 16 takes channels in the order in which they lie there: lane t of four gives 8 t + {0, 1} and {2, 3} to the
// first of two products, {4, 5} and {6, 7} to the second (`channel_of`); weights are packed in that order too.
#pragma once

#include "triangle_multiplication/cuda_problem.cuh"

namespace structdiff::gpu {

// Two neighbouring channels.
template <class T>
struct PairOf {
  using Type = uint32_t;
};
template <>
struct PairOf<float> {
  using Type = float2;
};
template <class T>
using Pair = typename PairOf<T>::Type;

template <class T>
STRUCTDIFF_DEVICE float2 widen(const Pair<T>& pair) {
  if constexpr (sizeof(T) == 2) {
    return unpack<T>(pair);
  } else {
    return pair;
  }
}
template <class T>
STRUCTDIFF_DEVICE Pair<T> narrow(float x, float y) {
  if constexpr (sizeof(T) == 2) {
    return pack<T>(x, y);
  } else {
    return float2{x, y};
  }
}

// 16 bytes as pairs, and back.
STRUCTDIFF_DEVICE void take_vector(uint32_t* pairs, const uint4& vector) {
  pairs[0] = vector.x, pairs[1] = vector.y, pairs[2] = vector.z, pairs[3] = vector.w;
}
STRUCTDIFF_DEVICE void take_vector(float2* pairs, const uint4& vector) {
  pairs[0] = {as_float(vector.x), as_float(vector.y)};
  pairs[1] = {as_float(vector.z), as_float(vector.w)};
}
STRUCTDIFF_DEVICE uint4 as_vector(const uint32_t* pairs) { return {pairs[0], pairs[1], pairs[2], pairs[3]}; }
STRUCTDIFF_DEVICE uint4 as_vector(const float2* pairs) {
  return {as_bits(pairs[0].x), as_bits(pairs[0].y), as_bits(pairs[1].x), as_bits(pairs[1].y)};
}

// The first of the two channels that lane t of four gives as `half` of product number `step`.
STRUCTDIFF_BOTH constexpr int channel_of(int step, int half, int t) {
  return step / 2 * 32 + t * 8 + step % 2 * 4 + half * 2;
}

template <class T, int Blocks>
struct Row {
  static constexpr int kVectorPairs = 8 / static_cast<int>(sizeof(T));
  static constexpr int kVectors = 4 / kVectorPairs;  // in eight channels
  Pair<T> pairs[Blocks * 4];

  STRUCTDIFF_DEVICE const Pair<T>& of(int step, int half) const { return pairs[step * 2 + half]; }

  // Zeros beyond `channels`.
  STRUCTDIFF_DEVICE void load_from(const T* from, int64_t stride, bool vectors, bool valid, int channels, int lane) {
#pragma unroll
    for (int block = 0; block < Blocks; ++block) {
      const int c = block * 32 + (lane & 3) * 8;
      const bool there = valid && c < channels;
      if (vectors) {
#pragma unroll
        for (int v = 0; v < kVectors; ++v) {
          uint4 vector{};
          if (there) vector = load(reinterpret_cast<const uint4*>(from + c) + v);
          take_vector(pairs + block * 4 + v * kVectorPairs, vector);
        }
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          float2 pair{};
          if (there) {
            pair.x = to_float(load(from + (c + e * 2) * stride));
            pair.y = to_float(load(from + (c + e * 2 + 1) * stride));
          }
          pairs[block * 4 + e] = narrow<T>(pair.x, pair.y);
        }
      }
    }
  }

  STRUCTDIFF_DEVICE void store_to(T* to, int channels, int lane) const {
#pragma unroll
    for (int block = 0; block < Blocks; ++block) {
      const int c = block * 32 + (lane & 3) * 8;
      if (c >= channels) continue;
#pragma unroll
      for (int v = 0; v < kVectors; ++v) {
        store(reinterpret_cast<uint4*>(to + c) + v, as_vector(pairs + block * 4 + v * kVectorPairs));
      }
    }
  }
};

STRUCTDIFF_DEVICE float over_four_lanes(float sum) {
  sum += shuffle_xor(sum, 1);
  return sum + shuffle_xor(sum, 2);
}

// Mean and inverse deviation of the channels of a position.
template <class T, int Blocks>
STRUCTDIFF_DEVICE float2 statistics(const Row<T, Blocks>& row, int channels, float epsilon, int lane) {
  float sum = 0.0f;
#pragma unroll
  for (int at = 0; at < Blocks * 4; ++at) {
    const float2 x = widen<T>(row.pairs[at]);
    sum += x.x + x.y;
  }
  const float mean = over_four_lanes(sum) / static_cast<float>(channels);
  float squares = 0.0f;
#pragma unroll
  for (int at = 0; at < Blocks * 4; ++at) {
    if (at / 4 * 32 + (lane & 3) * 8 >= channels) continue;
    const float2 x = widen<T>(row.pairs[at]);
    squares += (x.x - mean) * (x.x - mean) + (x.y - mean) * (x.y - mean);
  }
  return {mean, inverse_root(over_four_lanes(squares) / static_cast<float>(channels) + epsilon)};
}

// `norm`: weights, then biases.
template <class T, int Blocks, int Rows>
STRUCTDIFF_DEVICE void normalise(Row<T, Blocks> (&rows)[Rows], const float* norm, int channels, float epsilon, int lane) {
  float2 of[Rows];
#pragma unroll
  for (int r = 0; r < Rows; ++r) of[r] = statistics(rows[r], channels, epsilon, lane);
#pragma unroll
  for (int at = 0; at < Blocks * 4; at += 2) {
    const int c = at / 4 * 32 + (lane & 3) * 8 + at % 4 * 2;
    if (c >= channels) continue;
    const float4 weight = load(reinterpret_cast<const float4*>(norm + c));
    const float4 bias = load(reinterpret_cast<const float4*>(norm + channels + c));
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const float2 low = widen<T>(rows[r].pairs[at]), high = widen<T>(rows[r].pairs[at + 1]);
      rows[r].pairs[at] = narrow<T>((low.x - of[r].x) * of[r].y * weight.x + bias.x,
                                    (low.y - of[r].x) * of[r].y * weight.y + bias.y);
      rows[r].pairs[at + 1] = narrow<T>((high.x - of[r].x) * of[r].y * weight.z + bias.z,
                                        (high.y - of[r].x) * of[r].y * weight.w + bias.w);
    }
  }
}

template <class T>
STRUCTDIFF_DEVICE void set_pair(Left<T>& a, int index, const Pair<T>& pair) {
  if constexpr (sizeof(T) == 2) {
    a.part[0][index] = pair;
  } else {
    set_left<T>(a, index, pair.x, pair.y);
  }
}
template <class T>
STRUCTDIFF_DEVICE void set_pair(Right<T>& b, int tile, int half, const Pair<T>& pair) {
  if constexpr (sizeof(T) == 2) {
    b.part[0][tile][half] = pair;
  } else {
    set_right<T>(b, tile, half, pair.x, pair.y);
  }
}

// 16 positions, over 16 channels.
template <class T, int Blocks>
STRUCTDIFF_DEVICE Left<T> left_of(const Row<T, Blocks>& first, const Row<T, Blocks>& second, int step) {
  Left<T> a;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    set_pair<T>(a, half * 2, first.of(step, half));
    set_pair<T>(a, half * 2 + 1, second.of(step, half));
  }
  return a;
}
// The same on the right-hand side.
template <class T, int Blocks>
STRUCTDIFF_DEVICE Right<T> right_of(const Row<T, Blocks>& first, const Row<T, Blocks>& second, int step) {
  Right<T> b;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    set_pair<T>(b, 0, half, first.of(step, half));
    set_pair<T>(b, 1, half, second.of(step, half));
  }
  return b;
}

// Values that fill 16 bytes.
template <class T, int Count>
STRUCTDIFF_DEVICE void load_values(float (&values)[Count], const T* from) {
  static_assert(Count * sizeof(T) == 16, "a vector");
  Pair<T> pairs[Count / 2];
  take_vector(pairs, load(reinterpret_cast<const uint4*>(from)));
#pragma unroll
  for (int at = 0; at < Count; at += 2) {
    const float2 pair = widen<T>(pairs[at / 2]);
    values[at] = pair.x, values[at + 1] = pair.y;
  }
}
template <class T, int Count>
STRUCTDIFF_DEVICE void store_values(T* to, const float (&values)[Count]) {
  static_assert(Count * sizeof(T) == 16, "a vector");
  Pair<T> pairs[Count / 2];
#pragma unroll
  for (int at = 0; at < Count; at += 2) pairs[at / 2] = narrow<T>(values[at], values[at + 1]);
  store(reinterpret_cast<uint4*>(to), as_vector(pairs));
}

// A few pairs that lie side by side.
template <class T, int Count>
STRUCTDIFF_DEVICE void load_pairs(Pair<T> (&pairs)[Count], const T* from, bool there) {
  if constexpr (sizeof(T) == 4 || Count == 1) {
#pragma unroll
    for (int i = 0; i < Count; ++i) pairs[i] = there ? load(reinterpret_cast<const Pair<T>*>(from) + i) : Pair<T>{};
  } else {
    static_assert(Count == 2, "one or two pairs");
    const uint2 words = there ? load(reinterpret_cast<const uint2*>(from)) : uint2{};
    pairs[0] = words.x, pairs[1] = words.y;
  }
}
template <class T, int Count>
STRUCTDIFF_DEVICE void store_pairs(T* to, const Pair<T> (&pairs)[Count]) {
  if constexpr (sizeof(T) == 4 || Count == 1) {
#pragma unroll
    for (int i = 0; i < Count; ++i) store(reinterpret_cast<Pair<T>*>(to) + i, pairs[i]);
  } else {
    static_assert(Count == 2, "one or two pairs");
    store(reinterpret_cast<uint2*>(to), uint2{pairs[0], pairs[1]});
  }
}

// Four neighbouring channels of a table of any strides; zeros where not `there`.
template <class T>
STRUCTDIFF_DEVICE void load_four(Pair<T> (&pairs)[2], const T* from, int64_t stride, bool vectors, bool there) {
  if (vectors) return load_pairs<T>(pairs, from, there);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    pairs[i] = there ? narrow<T>(to_float(load(from + i * 2 * stride)), to_float(load(from + (i * 2 + 1) * stride)))
                     : Pair<T>{};
  }
}
template <class T>
STRUCTDIFF_DEVICE void store_four(T* to, int64_t stride, bool vectors, const float (&values)[4]) {
  if (vectors) {
    const Pair<T> pairs[2] = {narrow<T>(values[0], values[1]), narrow<T>(values[2], values[3])};
    return store_pairs<T>(to, pairs);
  }
#pragma unroll
  for (int e = 0; e < 4; ++e) store(to + e * stride, from_float<T>(values[e]));
}

// Brings operands to shared memory.
template <class V>
STRUCTDIFF_DEVICE void fetch_weights(V* to, const V* from, int64_t count, int thread, int threads) {
  constexpr int kVectors = static_cast<int>(sizeof(V) / 16);
  for (int64_t at = thread; at < count * kVectors; at += threads) {
    copy_async_16(reinterpret_cast<uint4*>(to) + at, reinterpret_cast<const uint4*>(from) + at, true);
  }
  copy_async_commit();
}
template <class V>
STRUCTDIFF_DEVICE V load_packed(const V* address) {
  static_assert(sizeof(V) % 16 == 0, "operands are whole vectors");
  V value;
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(V) / 16); ++i) {
    reinterpret_cast<uint4*>(&value)[i] = load(reinterpret_cast<const uint4*>(address) + i);
  }
  return value;
}
template <class V>
STRUCTDIFF_DEVICE V load_shared_packed(const V* address) {
  V value;
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(V) / 16); ++i) {
    reinterpret_cast<uint4*>(&value)[i] = shared_load(reinterpret_cast<const uint4*>(address) + i);
  }
  return value;
}

}  // namespace structdiff::gpu
