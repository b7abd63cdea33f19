// What bounds the attention kernels on this GPU, measured: exponentials a clock and multiprocessor, and bytes a clock and
// multiprocessor out of the second-level cache. Prints JSON. Run by gpu.py (section `limits`).
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr int kThreads = 512;
constexpr int kRepeats = 2048;

void must(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s\n", cudaGetErrorString(error));
  std::exit(1);
}

// Eight independent chains a thread, so that latency does not show.
__global__ void exponentials(float* out, long long* clocks) {
  float x[8];
  for (int i = 0; i < 8; ++i) x[i] = -1e-3f * static_cast<float>(threadIdx.x + i);
  __syncthreads();
  const long long began = clock64();
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
#pragma unroll
    for (int i = 0; i < 8; ++i) asm volatile("ex2.approx.ftz.f32 %0, %0;" : "+f"(x[i]));
  }
  __syncthreads();
  if (threadIdx.x == 0) clocks[blockIdx.x] = clock64() - began;
  float sum = 0;
  for (float each : x) sum += each;
  out[blockIdx.x * kThreads + threadIdx.x] = sum;
}

// Every block reads the same table, which the second-level cache holds and the first-level cache is told to leave alone.
__global__ void reads(const float4* table, int elements, float* out, long long* clocks, int repeats) {
  float sum = 0;
  __syncthreads();
  const long long began = clock64();
  for (int repeat = 0; repeat < repeats; ++repeat) {
    for (int at = static_cast<int>(threadIdx.x); at < elements; at += kThreads * 4) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float4 x = __ldcg(table + (at + i * kThreads + blockIdx.x * 4096) % elements);
        sum += x.x + x.y + x.z + x.w;
      }
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) clocks[blockIdx.x] = clock64() - began;
  out[blockIdx.x * kThreads + threadIdx.x] = sum;
}

double mean(const long long* on_device, int blocks) {
  std::vector<long long> clocks(blocks);
  must(cudaMemcpy(clocks.data(), on_device, sizeof(long long) * blocks, cudaMemcpyDeviceToHost));
  double sum = 0;
  for (int i = 0; i < blocks; ++i) sum += static_cast<double>(clocks[i]);
  return sum / blocks;
}

}  // namespace

int main() {
  int blocks = 0;
  must(cudaDeviceGetAttribute(&blocks, cudaDevAttrMultiProcessorCount, 0));
  constexpr int kElements = 1 << 20;  // 16 MiB
  float* out = nullptr;
  float4* table = nullptr;
  long long* clocks = nullptr;
  must(cudaMalloc(&out, sizeof(float) * kThreads * blocks));
  must(cudaMalloc(&table, sizeof(float4) * kElements));
  must(cudaMemset(table, 0, sizeof(float4) * kElements));
  must(cudaMalloc(&clocks, sizeof(long long) * blocks));
  double best_exp = 0, best_read = 0;
  for (int round = 0; round < 5; ++round) {
    exponentials<<<blocks, kThreads>>>(out, clocks);
    must(cudaDeviceSynchronize());
    const double per_clock = 8.0 * kRepeats * kThreads / mean(clocks, blocks);
    best_exp = per_clock > best_exp ? per_clock : best_exp;
    reads<<<blocks, kThreads>>>(table, kElements, out, clocks, 2);
    must(cudaDeviceSynchronize());
    const double bytes = 2.0 * sizeof(float4) * kElements / mean(clocks, blocks);
    best_read = bytes > best_read ? bytes : best_read;
  }
  std::printf("{\"exponentials a clock and multiprocessor\": %.2f, ", best_exp);
  std::printf("\"bytes a clock and multiprocessor from the second-level cache\": %.2f}\n", best_read);
  return 0;
}
