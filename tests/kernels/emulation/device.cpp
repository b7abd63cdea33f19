// The machine behind emulation/device.h: coroutines, meeting places, checked memory.
#include "emulation/device.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "common/abi.h"
#include "emulation/machine.h"

namespace structdiff::gpu::emulation {
namespace {

constexpr int64_t kStackBytes = 128 * 1024;
constexpr int kWarp = 32;

struct Copy {
  unsigned char* to;
  const unsigned char* from;
  bool valid;
};

struct Thread {
  int index = 0;
  ucontext_t context;  // as it starts
  jmp_buf jump;        // where it stopped
  std::unique_ptr<unsigned char[]> stack{new unsigned char[kStackBytes]};
  bool started = false;
  bool finished = false;
  std::function<bool()> ready;
  int64_t barriers = 0;      // passed so far
  int64_t exchanges = 0;     // with its warp
  std::vector<Copy> uncommitted;
  std::vector<std::vector<Copy>> committed;
};

struct Meeting {
  int64_t arrived = 0;
};

// Who touched two bytes of shared memory last, and after how many of his barriers.
struct Touch {
  int16_t writer = -1;
  int16_t reader = -1;  // -2: several
  int32_t written = -1;
  int32_t read = -1;
};

struct Machine {
  std::vector<std::unique_ptr<Thread>> threads;
  jmp_buf scheduler;
  Thread* current = nullptr;
  int num_threads = 0;
  int64_t block = 0;
  std::map<int, Meeting> barriers;
  std::vector<Meeting> warps;
  std::vector<unsigned char> exchange;  // [warp][2][lane][kExchangeStride]
  unsigned char* shared = nullptr;
  int64_t shared_bytes = 0;
  std::vector<Touch> touches;
  std::map<const unsigned char*, const unsigned char*> allowed;  // first byte, end
  std::string fault;
  int order = 0;
  int64_t launches = 0;
  const std::function<void(unsigned char*)>* body = nullptr;
};

Machine machine;
std::vector<BesideThreads>& engines() {
  static std::vector<BesideThreads> all;
  return all;
}

}  // namespace

void blame(const std::string& what) {
  if (!machine.fault.empty()) return;
  machine.fault = what + " (block " + std::to_string(machine.block) + ", thread " +
                  std::to_string(machine.current ? machine.current->index : -1) + ")";
}

namespace {

// Unlike swapcontext, jumps do not ask the kernel for the signals, which would take most of the time.
void stop() {
  if (_setjmp(machine.current->jump) == 0) _longjmp(machine.scheduler, 1);
}

void go_on(Thread& thread) {
  if (_setjmp(machine.scheduler) != 0) return;
  if (thread.started) _longjmp(thread.jump, 1);
  thread.started = true;
  setcontext(&thread.context);
}

void enter() {
  (*machine.body)(machine.shared);
  machine.current->finished = true;
  stop();
}

}  // namespace

void wait_until(std::function<bool()> ready) {
  if (ready()) return;
  machine.current->ready = std::move(ready);
  stop();
}

void give_up() {
  machine.current->ready = [] { return false; };
  stop();
}

bool allowed(const void* global, int64_t bytes) {
  const auto* first = static_cast<const unsigned char*>(global);
  auto after = machine.allowed.upper_bound(first);
  return after != machine.allowed.begin() && std::prev(after)->second >= first + bytes;
}

void add_engine(BesideThreads engine) { engines().push_back(std::move(engine)); }
unsigned char* shared_begin() { return machine.shared; }
int64_t shared_size() { return machine.shared_bytes; }
int thread_order() { return machine.order; }

namespace {

bool engines_go_on() {
  return std::any_of(engines().begin(), engines().end(), [](const BesideThreads& each) { return each.go_on(); });
}

void start(Thread& thread, int index) {
  thread.index = index;
  thread.finished = thread.started = false;
  thread.ready = nullptr;
  thread.barriers = thread.exchanges = 0;
  thread.uncommitted.clear();
  thread.committed.clear();
  getcontext(&thread.context);
  thread.context.uc_stack.ss_sp = thread.stack.get();
  thread.context.uc_stack.ss_size = kStackBytes;
  thread.context.uc_link = nullptr;
  makecontext(&thread.context, enter, 0);
}

// Runs whoever can go on until all are done; false if nobody can.
bool run_threads(const std::vector<int>& order) {
  for (size_t left = order.size(); left > 0;) {
    bool moved = false;
    left = 0;
    for (const int index : order) {
      Thread& thread = *machine.threads[index];
      if (thread.finished) continue;
      ++left;
      if (thread.ready && !thread.ready()) continue;
      thread.ready = nullptr;
      machine.current = &thread;
      go_on(thread);
      moved = true;
    }
    if (left > 0 && !moved && (!machine.fault.empty() || !engines_go_on())) return false;
  }
  return true;
}

void run_block(int threads) {
  const int warps = threads / kWarp;
  machine.barriers.clear();
  machine.warps.assign(warps, Meeting{});
  machine.exchange.assign(static_cast<size_t>(warps) * 2 * kWarp * kExchangeStride, 0);
  std::memset(machine.shared, 0xff, machine.shared_bytes);
  machine.touches.assign(machine.shared_bytes / 2, Touch{});
  std::vector<int> order(threads);
  for (int i = 0; i < threads; ++i) order[i] = machine.order == 1 ? threads - 1 - i : i;
  if (machine.order > 1) std::shuffle(order.begin(), order.end(), std::mt19937(machine.order));
  for (int i = 0; i < threads; ++i) start(*machine.threads[i], i);
  for (const BesideThreads& each : engines()) each.new_block(threads);
  if (!run_threads(order)) blame("threads wait for each other for ever");
  machine.current = nullptr;
  for (const BesideThreads& each : engines()) each.end_of_block();
}

}  // namespace

void run_grid(
    int64_t blocks, int threads, int64_t shared_bytes, int64_t shared_limit,
    const std::function<void(unsigned char*)>& body) {
  ++machine.launches;
  if (threads % kWarp != 0 || threads > 1024 || shared_bytes > shared_limit) blame("a launch that no GPU would take");
  while (static_cast<int>(machine.threads.size()) < threads) machine.threads.push_back(std::make_unique<Thread>());
  void* shared = std::aligned_alloc(128, (shared_bytes + 255) / 128 * 128);
  machine.shared = static_cast<unsigned char*>(shared);
  machine.shared_bytes = shared_bytes;
  machine.num_threads = threads;
  machine.body = &body;
  for (machine.block = 0; machine.block < blocks && machine.fault.empty(); ++machine.block) run_block(threads);
  std::free(shared);
}

void set_order(int order) { machine.order = order; }

void allow(const void* data, int64_t bytes) {
  const auto* first = static_cast<const unsigned char*>(data);
  machine.allowed[first] = std::max(machine.allowed[first], first + bytes);
}
void forget_all() { machine.allowed.clear(); }
std::string take_fault() { return std::exchange(machine.fault, std::string()); }
int64_t launches() { return machine.launches; }

int thread_index() { return machine.current->index; }
int block_threads() { return machine.num_threads; }
int64_t block_index() { return machine.block; }

void barrier(int name, int threads) {
  Meeting& meeting = machine.barriers[name];
  const int64_t goal = (meeting.arrived / threads + 1) * threads;
  ++meeting.arrived;
  ++machine.current->barriers;
  wait_until([&meeting, goal] { return meeting.arrived >= goal; });
}

const unsigned char* exchange(const void* mine, int64_t bytes) {
  Thread& me = *machine.current;
  const int warp = me.index / kWarp;
  const int64_t turn = me.exchanges++ % 2;
  unsigned char* all = machine.exchange.data() + (warp * 2 + turn) * kWarp * kExchangeStride;
  std::memcpy(all + me.index % kWarp * kExchangeStride, mine, bytes);
  Meeting& meeting = machine.warps[warp];
  ++meeting.arrived;
  const int64_t goal = me.exchanges * kWarp;
  wait_until([&meeting, goal] { return meeting.arrived >= goal; });
  return all;
}

void check_global(const void* address, int64_t bytes) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0) blame("global memory touched at a crooked address");
  if (!allowed(address, bytes)) {
    blame("global memory touched where there is none of ours");
    give_up();  // going on would be a real access outside of real memory
  }
}

void check_shared(const void* address, int64_t bytes, bool writes) {
  const int64_t first = static_cast<const unsigned char*>(address) - machine.shared;
  if (first < 0 || first + bytes > machine.shared_bytes) {
    blame("shared memory touched outside of the block's own");
    give_up();
  }
  if (first % bytes != 0) blame("shared memory touched at a crooked address");
  const auto me = static_cast<int16_t>(machine.current->index);
  const auto now = static_cast<int32_t>(machine.current->barriers);
  for (int64_t at = first / 2; at < (first + bytes) / 2; ++at) {
    Touch& touch = machine.touches[at];
    if (touch.writer >= 0 && touch.writer != me && touch.written >= now) blame("a race for shared memory with a writer");
    if (writes) {
      if (touch.reader != -1 && touch.reader != me && touch.read >= now) blame("a race for shared memory with a reader");
      touch.writer = me;
      touch.written = now;
    } else {
      touch.reader = touch.read == now && touch.reader != me && touch.reader != -1 ? int16_t{-2} : me;
      touch.read = std::max(touch.read, now);
    }
  }
}

void copy_async(void* shared, const void* global, bool valid) {
  if (valid) check_global(global, 16);
  check_shared(shared, 16, true);
  std::memset(shared, 0xff, 16);
  machine.current->uncommitted.push_back(
      {static_cast<unsigned char*>(shared), static_cast<const unsigned char*>(global), valid});
}

void copy_commit() {
  Thread& me = *machine.current;
  me.committed.push_back(std::move(me.uncommitted));
  me.uncommitted.clear();
}

void copy_wait(int pending) {
  auto& groups = machine.current->committed;
  const auto done = std::max<int64_t>(0, static_cast<int64_t>(groups.size()) - pending);
  for (int64_t i = 0; i < done; ++i) {
    for (const Copy& copy : groups[i]) {
      check_shared(copy.to, 16, true);
      copy.valid ? std::memcpy(copy.to, copy.from, 16) : std::memset(copy.to, 0, 16);
    }
  }
  groups.erase(groups.begin(), groups.begin() + done);
}

void load_matrices(uint32_t (&r)[4], const void* row, bool transposed) {
  check_shared(row, 16, false);
  const unsigned char* rows = exchange(row, 16);
  const int lane = machine.current->index % kWarp;
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t pair[2];
    for (int i = 0; i < 2; ++i) {
      const int from_row = transposed ? lane % 4 * 2 + i : lane / 4;
      const int from_column = transposed ? lane / 4 : lane % 4 * 2 + i;
      std::memcpy(&pair[i], rows + (matrix * 8 + from_row) * kExchangeStride + from_column * 2, 2);
    }
    r[matrix] = pair[0] | uint32_t{pair[1]} << 16;
  }
}

namespace {

struct Operands {
  uint32_t a[4];
  uint32_t b[2];
};

// Cuts off what a float cannot hold.
float cut(double value) {
  const float near = static_cast<float>(value);
  if (std::isfinite(near) && std::fabs(static_cast<double>(near)) > std::fabs(value)) return std::nextafterf(near, 0.0f);
  return near;
}

}  // namespace

void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, float (*widen)(uint16_t)) {
  const Operands mine{{a[0], a[1], a[2], a[3]}, {b0, b1}};
  const unsigned char* all = exchange(&mine, sizeof(mine));
  const int lane = machine.current->index % kWarp;
  // This lane's two rows of the left operand and two columns of the right one.
  float rows[2][16], columns[2][16];
  for (int t = 0; t < 4; ++t) {
    Operands left, right[2];
    std::memcpy(&left, all + (lane / 4 * 4 + t) * kExchangeStride, sizeof(left));
    for (int c = 0; c < 2; ++c) {
      std::memcpy(&right[c], all + ((lane % 4 * 2 + c) * 4 + t) * kExchangeStride, sizeof(right[c]));
    }
    for (int half = 0; half < 2; ++half) {
      for (int e = 0; e < 2; ++e) {
        const int k = half * 8 + t * 2 + e;
        for (int r = 0; r < 2; ++r) {
          rows[r][k] = widen(static_cast<uint16_t>(left.a[r + half * 2] >> (e * 16)));
          columns[r][k] = widen(static_cast<uint16_t>(right[r].b[half] >> (e * 16)));
        }
      }
    }
  }
  for (int i = 0; i < 4; ++i) {
    double sum = d[i];
    for (int k = 0; k < 16; ++k) sum += double{rows[i / 2][k]} * double{columns[i % 2][k]};
    d[i] = cut(sum);
  }
}

float widen_bfloat16(uint16_t bits) { return as_float(uint32_t{bits} << 16); }

uint16_t narrow_bfloat16(float value) {
  uint32_t bits = as_bits(value);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  bits += 0x7fff + (bits >> 16 & 1);
  return static_cast<uint16_t>(bits >> 16);
}

float widen_float16(uint16_t bits) {
  _Float16 half;
  std::memcpy(&half, &bits, sizeof(half));
  return static_cast<float>(half);
}

uint16_t narrow_float16(float value) {
  const auto half = static_cast<_Float16>(value);
  uint16_t bits;
  std::memcpy(&bits, &half, sizeof(bits));
  return bits;
}

}  // namespace structdiff::gpu::emulation

using namespace structdiff::gpu;

STRUCTDIFF_API void structdiff_emulation_allow(const void* data, int64_t bytes) { emulation::allow(data, bytes); }
STRUCTDIFF_API void structdiff_emulation_forget_all() { emulation::forget_all(); }
STRUCTDIFF_API void structdiff_emulation_set_order(int32_t order) { emulation::set_order(order); }
STRUCTDIFF_API int64_t structdiff_emulation_launches() { return emulation::launches(); }
STRUCTDIFF_API const char* structdiff_emulation_take_fault() {
  static std::string fault;
  fault = emulation::take_fault();
  return fault.c_str();
}
