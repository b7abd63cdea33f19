// What emulation/device.cpp lets other parts of the machine know and do.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace structdiff::gpu::emulation {

// A part of the machine that works beside the threads.
struct BesideThreads {
  std::function<void(int)> new_block;  // with so many threads
  std::function<bool()> go_on;         // nobody else can: false if it cannot either
  std::function<void()> end_of_block;
};
void add_engine(BesideThreads engine);

// Notes a fault.
void blame(const std::string& what);
// Ends the thread that is running, which would do harm if it went on.
void give_up();
void wait_until(std::function<bool()> ready);
bool allowed(const void* global, int64_t bytes);
unsigned char* shared_begin();
int64_t shared_size();
int thread_order();

}  // namespace structdiff::gpu::emulation
