// What is behind emulation/hopper.h.
#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "common/cuda_hopper.cuh"
#include "emulation/machine.h"

namespace structdiff::gpu::emulation {
namespace {

constexpr int kWarp = 32;
// Where shared memory begins; not at a multiple of 1024, so that kernels must align their tiles themselves.
constexpr int64_t kFirstAddress = 128;

struct Gift {
  uint64_t* to;
  uint64_t word;
};

struct Barrier {
  int count = 0, pending = 0;
  int64_t bytes = 0;
  int phase = 0;
  std::vector<Gift> gifts;  // of threads that arrived
};

struct Copy {
  unsigned char* to;
  int64_t bytes;
  Arrivals* barrier;
  std::function<void()> deliver;
};

// A product as one warp sees it: its own 16 rows.
struct Product {
  int blocks = 0;
  uint64_t matrix = 0;
  bool transposed = false;
  float (*widen)(uint16_t) = nullptr;
  int issued = 0;
  std::array<float*, kWarp> d{};
  std::array<std::vector<float>, kWarp> start;  // empty: goes on from the product before
  std::array<const uint32_t*, kWarp> a{};
  std::array<std::array<uint32_t, 4>, kWarp> a_values{};
  std::vector<uint16_t> b;  // [16][8 * blocks], as it was when the product began
  bool left_is_shared = false;  // and not in registers
  uint64_t left_matrix = 0;
  bool left_transposed = false;
  int warp = 0;                 // of its warpgroup
  std::vector<uint16_t> left;   // [16][64], as b
};

struct Lane {
  int64_t issued = 0;          // products so far
  std::deque<int64_t> groups;  // how many products had been issued at the end of each group under way
  bool begun = false;
};

struct Warp {
  std::deque<Product> products;
  int64_t finished = 0;
  std::array<Lane, kWarp> lanes;
};

struct Engine {
  std::map<Arrivals*, Barrier> barriers;
  std::vector<Copy> copies;
  std::vector<Warp> warps;
  std::map<int, std::vector<Gift>> gifts;  // of a thread, before it arrives
  std::set<const uint64_t*> given;         // words that have come
  std::map<std::pair<int, int64_t>, uint64_t> matrices;  // of a warpgroup's products, by number
  std::mt19937 random;
};

Engine engine;

void complete(Barrier& barrier) {
  if (barrier.pending != 0 || barrier.bytes != 0) return;
  barrier.phase ^= 1;
  barrier.pending = barrier.count;
  for (const Gift& gift : barrier.gifts) {
    *gift.to = gift.word;
    engine.given.insert(gift.to);
  }
  barrier.gifts.clear();
}

Barrier* started(Arrivals* barrier) {
  const auto found = engine.barriers.find(barrier);
  if (found == engine.barriers.end()) {
    blame("a barrier that was not started");
    give_up();
  }
  // Other threads see it only after a barrier of the block.
  check_shared(barrier, sizeof(Arrivals), false);
  return &found->second;
}

// Bits 4.. of an address, changed by bits 7..
int64_t scrambled(int64_t address, int mode) {
  const int64_t mask = mode == 1 ? 7 : mode == 2 ? 3 : mode == 3 ? 1 : 0;
  return address ^ (address >> 7 & mask) << 4;
}

unsigned char* at_address(int64_t address) { return shared_begin() + address - kFirstAddress; }

bool inside(int64_t address, int64_t bytes) {
  return address >= kFirstAddress && address + bytes <= kFirstAddress + shared_size();
}

void begin_copy(void* shared, int64_t bytes, Arrivals* barrier, std::function<void()> deliver, int64_t alignment) {
  const int64_t address = address_of(shared);
  if (!inside(address, bytes)) {
    blame("a copy to where the block has no shared memory");
    give_up();
  }
  if (address % alignment != 0) blame("a copy to a crooked address");
  started(barrier);
  auto* to = static_cast<unsigned char*>(shared);
  for (const Copy& other : engine.copies) {
    if (to < other.to + other.bytes && other.to < to + bytes) blame("two copies to one place");
  }
  std::memset(to, 0xff, bytes);
  engine.copies.push_back({to, bytes, barrier, std::move(deliver)});
}

// Nobody can go on: one copy arrives, whichever.
bool one_copy_arrives() {
  if (engine.copies.empty()) return false;
  size_t which = 0;
  if (thread_order() == 1) which = engine.copies.size() - 1;
  if (thread_order() > 1) which = engine.random() % engine.copies.size();
  const Copy copy = engine.copies[which];
  engine.copies.erase(engine.copies.begin() + static_cast<int64_t>(which));
  copy.deliver();
  Barrier& barrier = engine.barriers.at(copy.barrier);
  barrier.bytes -= copy.bytes;
  complete(barrier);
  return true;
}

// The element (k, n) of the right operand (PTX manual, "Strides", "Canonical layouts", in units of 16 bytes).
int64_t element_address(uint64_t matrix, bool transposed, int k, int n) {
  const auto field = [&](int bit) { return static_cast<int64_t>(matrix >> bit & 0x3fff) * 16; };
  const int64_t start = field(0), leading = field(16), stride = field(32);
  const int mode = static_cast<int>(matrix >> 62);
  const int64_t wide = mode == 1 ? 8 : mode == 2 ? 4 : mode == 3 ? 2 : 1;  // chunks of 16 bytes in a row
  const int64_t row = transposed ? k : n, column = transposed ? n : k;
  const int64_t chunk = column / 8;
  int64_t linear = start + row % 8 * wide * 16 + row / 8 * stride + chunk % wide * 16 + column % 8 * 2;
  if (chunk >= wide) {
    if (!transposed) blame("a product over 16 that leaves its row");
    linear += chunk / wide * leading;
  }
  return scrambled(linear, mode);
}

// [16][columns]; the left operand's rows are columns here.
std::vector<uint16_t> shared_operand(uint64_t matrix, bool transposed, int columns) {
  std::vector<uint16_t> values(16 * columns);
  for (int k = 0; k < 16; ++k) {
    for (int n = 0; n < columns; ++n) {
      const int64_t address = element_address(matrix, transposed, k, n);
      if (!inside(address, 2)) {
        blame("a product that reads outside of the block's shared memory");
        give_up();
      }
      std::memcpy(&values[k * columns + n], at_address(address), 2);
    }
  }
  return values;
}

std::vector<uint16_t> right_operand(const Product& product) {
  return shared_operand(product.matrix, product.transposed, 8 * product.blocks);
}
std::vector<uint16_t> left_operand(const Product& product) {
  return shared_operand(product.left_matrix, product.left_transposed, 64);
}

float cut(double value) {
  const float near = static_cast<float>(value);
  if (std::isfinite(near) && std::fabs(static_cast<double>(near)) > std::fabs(value)) return std::nextafterf(near, 0.0f);
  return near;
}

// This warp's 16 rows out of the registers of its lanes, or out of shared memory.
void take_left(const Product& product, float (&left)[16][16]) {
  if (product.left_is_shared) {
    if (left_operand(product) != product.left) blame("shared memory was written while a product read it");
    for (int k = 0; k < 16; ++k) {
      for (int row = 0; row < 16; ++row) left[row][k] = product.widen(product.left[k * 64 + product.warp * 16 + row]);
    }
    return;
  }
  for (int lane = 0; lane < kWarp; ++lane) {
    if (!std::equal(product.a_values[lane].begin(), product.a_values[lane].end(), product.a[lane])) {
      blame("registers were written while a product read them");
    }
    for (int part = 0; part < 4; ++part) {
      for (int e = 0; e < 2; ++e) {
        const uint32_t word = product.a_values[lane][part];
        left[lane / 4 + part % 2 * 8][lane % 4 * 2 + part / 2 * 8 + e] =
            product.widen(static_cast<uint16_t>(word >> e * 16));
      }
    }
  }
}

void finish_product(Product& product) {
  if (right_operand(product) != product.b) blame("shared memory was written while a product read it");
  const int columns = 8 * product.blocks;
  float left[16][16];
  take_left(product, left);
  std::vector<float> right(product.b.size());
  std::transform(product.b.begin(), product.b.end(), right.begin(), product.widen);
  for (int lane = 0; lane < kWarp; ++lane) {
    for (int at = 0; at < product.blocks * 4; ++at) {
      const int row = lane / 4 + at % 4 / 2 * 8, column = at / 4 * 8 + lane % 4 * 2 + at % 2;
      double sum = product.start[lane].empty() ? product.d[lane][at] : product.start[lane][at];
      for (int k = 0; k < 16; ++k) sum += double{left[row][k]} * double{right[k * columns + column]};
      product.d[lane][at] = cut(sum);
    }
  }
}

Warp& my_warp() { return engine.warps[thread_index() / kWarp]; }
Lane& my_lane() { return my_warp().lanes[thread_index() % kWarp]; }

void new_block(int threads) {
  engine.barriers.clear();
  engine.copies.clear();
  engine.gifts.clear();
  engine.given.clear();
  engine.matrices.clear();
  engine.warps.assign(threads / kWarp, Warp{});
  engine.random.seed(thread_order());
}

void end_of_block() {
  if (!engine.copies.empty()) blame("a copy that nobody waited for");
  for (const Warp& warp : engine.warps) {
    if (!warp.products.empty()) blame("a product that nobody waited for");
  }
  for (const auto& [address, barrier] : engine.barriers) {
    if (barrier.bytes != 0) blame("a barrier waits for bytes that never came");
  }
}

const bool known = [] {
  add_engine({new_block, one_copy_arrives, end_of_block});
  return true;
}();

}  // namespace

bool takes(const TensorMap& map) {
  const int row_bytes = map.box[0] * 2;
  bool good = reinterpret_cast<uintptr_t>(map.data) % 16 == 0 && (row_bytes == 32 || row_bytes == 64 || row_bytes == 128);
  for (int axis = 0; axis < 5; ++axis) {
    good = good && map.size[axis] > 0 && map.size[axis] <= int64_t{1} << 32 && map.box[axis] >= 1 && map.box[axis] <= 256;
    if (axis > 0) good = good && map.stride[axis] * 2 % 16 == 0 && map.stride[axis] > 0 && map.stride[axis] < int64_t{1} << 39;
  }
  return good;
}

uint32_t address_of(const void* shared) {
  return static_cast<uint32_t>(static_cast<const unsigned char*>(shared) - shared_begin() + kFirstAddress);
}

void start_barrier(Arrivals* barrier, int count) {
  check_shared(barrier, sizeof(Arrivals), true);
  if (count < 1) blame("a barrier for nobody");
  Barrier& started = engine.barriers[barrier] = Barrier{};
  started.count = started.pending = count;
}

void arrive(Arrivals* barrier, int bytes) {
  Barrier* found = started(barrier);
  if (found->pending == 0) blame("a barrier with more arrivals than it counts");
  found->bytes += bytes;
  --found->pending;
  std::vector<Gift>& mine = engine.gifts[thread_index()];
  found->gifts.insert(found->gifts.end(), mine.begin(), mine.end());
  mine.clear();
  complete(*found);
}

void wait_for(Arrivals* barrier, int parity) {
  Barrier* found = started(barrier);
  wait_until([found, parity] { return found->phase != parity; });
}

void give(uint64_t* shared, uint64_t word) {
  const int64_t address = address_of(shared);
  if (!inside(address, 8) || address % 8 != 0) {
    blame("a word given to where the block has no shared memory, or crookedly");
    give_up();
  }
  engine.given.erase(shared);
  engine.gifts[thread_index()].push_back({shared, word});
}

uint64_t given(const uint64_t* shared) {
  if (engine.given.count(shared) == 0) {
    blame("a word that was not given yet, or is no more");
    give_up();  // who does not wait for it might go on for ever
  }
  return *shared;
}

void copy_box(void* shared, const TensorMap& map, Arrivals* barrier, const int (&at)[5]) {
  int64_t bytes = 2;
  for (const int size : map.box) bytes *= size;
  const std::array<int, 5> first{at[0], at[1], at[2], at[3], at[4]};
  const int mode = swizzle_mode(map.box[0] * 2);
  auto* to = static_cast<unsigned char*>(shared);
  const auto deliver = [=] {
    std::array<int, 5> place{};
    for (int64_t element = 0; element < bytes / 2; ++element) {
      int64_t rest = element;
      const auto* from = static_cast<const uint16_t*>(map.data);
      bool there = true;
      for (int axis = 0; axis < 5; ++axis) {
        place[axis] = first[axis] + static_cast<int>(rest % map.box[axis]);
        rest /= map.box[axis];
        there = there && place[axis] >= 0 && place[axis] < map.size[axis];
        from += place[axis] * (axis == 0 ? 1 : map.stride[axis]);
      }
      if (there && !allowed(from, 2)) {
        blame("a copy from where there is nothing of ours");
        return;
      }
      const uint16_t value = there ? *from : uint16_t{0};
      std::memcpy(at_address(scrambled(address_of(to) + element * 2, mode)), &value, 2);
    }
  };
  begin_copy(shared, bytes, barrier, deliver, 128);
}

void copy_bytes(void* shared, const void* global, int bytes, Arrivals* barrier) {
  if (bytes % 16 != 0 || reinterpret_cast<uintptr_t>(global) % 16 != 0) blame("a copy of crooked bytes");
  const auto deliver = [=] {
    if (!allowed(global, bytes)) {
      blame("a copy from where there is nothing of ours");
      return;
    }
    std::memcpy(shared, global, bytes);
  };
  begin_copy(shared, bytes, barrier, deliver, 16);
}

void begin_products() { my_lane().begun = true; }

namespace {

// The product that this lane asks for next, which its warp shares; `d` is a lane's part of it.
Product& next_product(float* d, int blocks, uint64_t matrix, bool transposed, float (*widen)(uint16_t)) {
  Warp& warp = my_warp();
  Lane& lane = my_lane();
  const int self = thread_index() % kWarp;
  if (!lane.begun) blame("products without products_begin");
  const int64_t number = lane.issued++;
  const auto [known_matrix, is_new] = engine.matrices.try_emplace({thread_index() / 128, number}, matrix);
  if (!is_new && known_matrix->second != matrix) blame("warps of a warpgroup multiply different matrices");
  while (warp.finished + static_cast<int64_t>(warp.products.size()) <= number) {
    Product& next = warp.products.emplace_back();
    next.blocks = blocks, next.matrix = matrix, next.transposed = transposed, next.widen = widen;
  }
  Product& product = warp.products[number - warp.finished];
  if (product.blocks != blocks || product.transposed != transposed) blame("lanes of a warp ask for different products");
  bool goes_on = false;
  for (int64_t before = 0; before < number - warp.finished; ++before) {
    goes_on = goes_on || warp.products[before].d[self] == d;
  }
  if (!goes_on) {
    product.start[self].assign(d, d + blocks * 4);
    std::fill(d, d + blocks * 4, std::nanf(""));
  }
  product.d[self] = d;
  if (++product.issued == 1) product.b = right_operand(product);
  return product;
}

}  // namespace

void multiply_group(float* d, int blocks, const uint32_t* a, uint64_t matrix, bool transposed, float (*widen)(uint16_t)) {
  Product& product = next_product(d, blocks, matrix, transposed, widen);
  const int self = thread_index() % kWarp;
  product.a[self] = a;
  std::copy(a, a + 4, product.a_values[self].begin());
}

void multiply_tiles(
    float* d, int blocks, uint64_t left, bool left_transposed, uint64_t right, bool right_transposed,
    float (*widen)(uint16_t)) {
  Product& product = next_product(d, blocks, right, right_transposed, widen);
  if (product.issued == 1) {
    product.left_is_shared = true;
    product.left_matrix = left, product.left_transposed = left_transposed;
    product.warp = thread_index() / kWarp % 4;
    product.left = left_operand(product);
  } else if (product.left_matrix != left || product.left_transposed != left_transposed) {
    blame("lanes of a warp ask for different products");
  }
}

void commit_products() {
  Lane& lane = my_lane();
  lane.groups.push_back(lane.issued);
}

void wait_for_products(int pending) {
  Warp& warp = my_warp();
  Lane& lane = my_lane();
  lane.begun = false;  // registers may be written now
  int64_t goal = warp.finished;
  while (static_cast<int>(lane.groups.size()) > pending) {
    goal = lane.groups.front();
    lane.groups.pop_front();
  }
  warp_barrier();  // all lanes have asked for what they wait for
  while (warp.finished < goal) {
    if (warp.products.front().issued != kWarp) {
      blame("a product that not all lanes asked for");
      give_up();
    }
    finish_product(warp.products.front());
    warp.products.pop_front();
    ++warp.finished;
  }
}

void set_registers(int count) {
  if (count % 8 != 0 || count < 24 || count > 256) blame("a number of registers that setmaxnreg does not take");
}

}  // namespace structdiff::gpu::emulation
